// Backend over blocking system calls on threads of its own (never libuv's): works wherever threads
// do.

#ifndef RINGBOLT_IO_THREADS_BACKEND_H_
#define RINGBOLT_IO_THREADS_BACKEND_H_

#include <memory>

#include "base/status.h"
#include "io/backend.h"

namespace ringbolt {

// Must be called on the thread that will use it: its workers may run on the CPUs of that thread.
Status CreateThreadsBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_THREADS_BACKEND_H_
