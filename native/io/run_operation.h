// One operation by a blocking system call, on the thread that calls: what helper threads do.

#ifndef RINGBOLT_IO_RUN_OPERATION_H_
#define RINGBOLT_IO_RUN_OPERATION_H_

#include <cstdint>

#include "io/backend.h"

namespace ringbolt {

// Any thread. Returns bytes, or -errno.
int32_t RunOperation(const BackendOp& op);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_RUN_OPERATION_H_
