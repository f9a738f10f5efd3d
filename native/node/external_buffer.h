// ArrayBuffers over memory that native code owns, and whether this runtime has them: Electron's V8
// keeps the memory of all ArrayBuffers in a cage of its own, and refuses others. Where there are
// none, everything that JavaScript sees is V8's memory, and is copied from and to native code's.
//
// JavaScript thread.

#ifndef RINGBOLT_NODE_EXTERNAL_BUFFER_H_
#define RINGBOLT_NODE_EXTERNAL_BUFFER_H_

#include <napi.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "io/features.h"

namespace ringbolt {

// As RINGBOLT_DISABLE and engine.info name it.
inline constexpr const char* kExternalBuffers = "EXTERNAL_BUFFERS";

// Whether they can be had, by making one.
BackendFeature TryExternalBuffers(napi_env env);

// False, and maybe an exception, if there is no memory for one.
bool ConstructArrayBuffer(napi_env env, size_t bytes, napi_value* buffer);

namespace internal {

// Two know of it at first: the buffer's finalizer, and who makes the buffer.
template <typename Owner>
struct OwnerHint {
  explicit OwnerHint(Owner from) : owner(std::move(from)) {}

  static void Drop(napi_env /*env*/, void* /*data*/, void* raw) {
    auto* hint = static_cast<OwnerHint*>(raw);
    hint->owner.reset();
    if (--hint->known_to == 0) delete hint;
  }

  std::optional<Owner> owner;
  int known_to = 2;
};

}  // namespace internal

// `owner` is dropped when JavaScript can no longer see the memory; at once if the buffer cannot be
// had.
template <typename Owner>
napi_status MakeExternalBuffer(napi_env env, void* data, size_t bytes, Owner owner,
                               napi_value* buffer) {
  using Hint = internal::OwnerHint<Owner>;
  auto* hint = new Hint(std::move(owner));
  const napi_status status =
      napi_create_external_arraybuffer(env, data, bytes, &Hint::Drop, hint, buffer);
  if (status == napi_ok) {
    --hint->known_to;
    return status;
  }
  // Some refusals call the finalizer (a length that no Buffer may have), others never do, and Node
  // does not say which. So the hint itself may stay behind; what it holds does not.
  Hint::Drop(env, nullptr, hint);
  return status;
}

// Memory of V8's own; `owner` is dropped when the buffer is collected.
//
// Made by JavaScript's own constructor, which throws where there is not so much memory:
// napi_create_arraybuffer() ends the process. A program may have put another in its place; then
// whatever that makes is looked at.
template <typename Owner>
napi_status MakeOwnBuffer(napi_env env, size_t bytes, Owner owner, napi_value* buffer) {
  if (!ConstructArrayBuffer(env, bytes, buffer)) return napi_generic_failure;
  auto hint = std::make_unique<Owner>(std::move(owner));
  const napi_status status = napi_add_finalizer(
      env, *buffer, hint.get(), [](napi_env, void* raw, void*) { delete static_cast<Owner*>(raw); },
      nullptr, nullptr);
  if (status == napi_ok) (void)hint.release();
  return status;
}

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_EXTERNAL_BUFFER_H_
