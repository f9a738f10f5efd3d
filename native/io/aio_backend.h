// Backend over Linux native AIO, by raw system calls: what the seccomp profiles of container
// engines leave where they forbid io_uring.
//
// The kernel's AIO is asynchronous for O_DIRECT files alone: io_submit() of anything else does all
// the work before it returns. Operations that are not direct, and flushes, go to helper threads.

#ifndef RINGBOLT_IO_AIO_BACKEND_H_
#define RINGBOLT_IO_AIO_BACKEND_H_

#include <memory>

#include "base/status.h"
#include "io/backend.h"

namespace ringbolt {

// Must be called on the thread that will use it.
Status CreateAioBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_AIO_BACKEND_H_
