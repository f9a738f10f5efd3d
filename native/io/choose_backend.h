// Which backend a queue gets: io_uring, else aio, else threads. What keeps a better one from being
// used does not matter for the choice, only for the report.

#ifndef RINGBOLT_IO_CHOOSE_BACKEND_H_
#define RINGBOLT_IO_CHOOSE_BACKEND_H_

#include <memory>

#include "base/status.h"
#include "io/backend.h"

namespace ringbolt {

// Must be called on the thread that will use it. Makes the backend that `options.kind` names, or
// the best that can be had; then passed_over() says what could not. A failure says why in words.
// `options.faults`, if it has a seed, is put around it.
Status CreateBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_CHOOSE_BACKEND_H_
