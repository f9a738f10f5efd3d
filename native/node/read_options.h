// What JavaScript asks for, read from its option objects and range-checked (see convert.h).

#ifndef RINGBOLT_NODE_READ_OPTIONS_H_
#define RINGBOLT_NODE_READ_OPTIONS_H_

#include <napi.h>

#include "engine/engine.h"
#include "io/open_file.h"

namespace ringbolt {

// False with an exception pending if anything is wrong.
bool ReadEngineOptions(const Napi::Object& from, EngineOptions* options);
bool ReadOpenRequest(const Napi::Object& from, OpenRequest* request);

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_READ_OPTIONS_H_
