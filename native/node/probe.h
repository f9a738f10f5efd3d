// probe(path?): what this machine lets an engine do, found out by doing it on another thread.

#ifndef RINGBOLT_NODE_PROBE_H_
#define RINGBOLT_NODE_PROBE_H_

#include <napi.h>

namespace ringbolt {

// The function. It resolves to what lib/native.ts calls NativeProbe, or to { errno, syscall, detail
// } where not even a thread can be had; throws a TypeError for a path that is no string.
Napi::Function DefineProbe(Napi::Env env);

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_PROBE_H_
