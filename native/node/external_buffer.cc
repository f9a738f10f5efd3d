#include "node/external_buffer.h"

#include <cstdint>
#include <memory>

namespace ringbolt {

BackendFeature TryExternalBuffers(napi_env env) {
  auto byte = std::make_unique<uint8_t>();
  uint8_t* data = byte.get();
  napi_value buffer = nullptr;
  const napi_status status = MakeExternalBuffer(env, data, 1, std::move(byte), &buffer);
  // Anything else than this refusal, such as a lack of memory, is for whoever needs one to meet.
  if (status != napi_no_external_buffers_allowed) return {kExternalBuffers, true, ""};
  return {kExternalBuffers, false, "this runtime has no ArrayBuffers over native memory"};
}

bool ConstructArrayBuffer(napi_env env, size_t bytes, napi_value* buffer) {
  napi_value global = nullptr;
  napi_value constructor = nullptr;
  napi_value length = nullptr;
  bool is_buffer = false;
  void* data = nullptr;
  size_t got = 0;
  return napi_get_global(env, &global) == napi_ok &&
         napi_get_named_property(env, global, "ArrayBuffer", &constructor) == napi_ok &&
         napi_create_double(env, static_cast<double>(bytes), &length) == napi_ok &&
         napi_new_instance(env, constructor, 1, &length, buffer) == napi_ok &&
         napi_is_arraybuffer(env, *buffer, &is_buffer) == napi_ok && is_buffer &&
         napi_get_arraybuffer_info(env, *buffer, &data, &got) == napi_ok && got == bytes;
}

}  // namespace ringbolt
