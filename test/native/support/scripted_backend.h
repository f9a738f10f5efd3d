// A backend that answers as a test tells it to: for policies that a real device cannot be asked to
// provoke.

#ifndef RINGBOLT_TEST_SUPPORT_SCRIPTED_BACKEND_H_
#define RINGBOLT_TEST_SUPPORT_SCRIPTED_BACKEND_H_

#include <functional>

#include "io/backend.h"

namespace ringbolt::test {

// Called on the queue thread for every operation handed over, in order; returns its result.
using Script = std::function<int32_t(const BackendOp&)>;

// Sets the script of backends that are made from now on.
void SetScript(Script script);

Status CreateScriptedBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend);

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_SUPPORT_SCRIPTED_BACKEND_H_
