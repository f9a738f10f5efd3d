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

}  // namespace ringbolt
