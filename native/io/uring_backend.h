// Backend over io_uring, through liburing.
//
// Built only where liburing is (RINGBOLT_HAVE_LIBURING); without it, CreateUringBackend() fails
// with ENOSYS and says so.

#ifndef RINGBOLT_IO_URING_BACKEND_H_
#define RINGBOLT_IO_URING_BACKEND_H_

#include <memory>

#include "base/status.h"
#include "io/backend.h"

namespace ringbolt {

// Must be called on the thread that will use it: the ring is bound to the thread that made it.
Status CreateUringBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_URING_BACKEND_H_
