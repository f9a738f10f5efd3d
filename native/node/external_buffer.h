// ArrayBuffers over memory that native code owns, and whether this runtime has them: Electron's V8
// keeps the memory of all ArrayBuffers in a cage of its own, and refuses others. Where there are
// none, everything that JavaScript sees is V8's memory, and is copied from and to native code's.
//
// JavaScript thread.

#ifndef RINGBOLT_NODE_EXTERNAL_BUFFER_H_
#define RINGBOLT_NODE_EXTERNAL_BUFFER_H_

#include <napi.h>

#include <cstddef>
#include <utility>

#include "io/features.h"

namespace ringbolt {

// As RINGBOLT_DISABLE and engine.info name it.
inline constexpr const char* kExternalBuffers = "EXTERNAL_BUFFERS";

// Whether they can be had, by making one.
BackendFeature TryExternalBuffers(napi_env env);

// `owner` is dropped when JavaScript can no longer see the memory; at once if the buffer cannot be
// had.
template <typename Owner>
napi_status MakeExternalBuffer(napi_env env, void* data, size_t bytes, Owner owner,
                               napi_value* buffer) {
  auto* hint = new Owner(std::move(owner));
  const napi_status status = napi_create_external_arraybuffer(
      env, data, bytes, [](napi_env, void*, void* raw) { delete static_cast<Owner*>(raw); }, hint,
      buffer);
  if (status != napi_ok) delete hint;
  return status;
}

// Memory of V8's own; `owner` is dropped when the buffer is collected.
template <typename Owner>
napi_status MakeOwnBuffer(napi_env env, size_t bytes, Owner owner, napi_value* buffer) {
  void* data = nullptr;
  napi_status status = napi_create_arraybuffer(env, bytes, &data, buffer);
  if (status != napi_ok) return status;
  auto* hint = new Owner(std::move(owner));
  status = napi_add_finalizer(
      env, *buffer, hint, [](napi_env, void* raw, void*) { delete static_cast<Owner*>(raw); },
      nullptr, nullptr);
  if (status != napi_ok) delete hint;
  return status;
}

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_EXTERNAL_BUFFER_H_
