// Reading the arguments of methods that are called for every batch, operation or lease: plain
// N-API, without the wrapper's cost, and without exceptions.
//
// A number that is missing or foreign reads as UINT32_MAX, which nothing accepts; an array that is
// foreign, detached or shrunk reads as empty.

#ifndef RINGBOLT_NODE_HOT_CALL_H_
#define RINGBOLT_NODE_HOT_CALL_H_

#include <napi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "node/engine_wrap.h"

namespace ringbolt {

// `self` is null if "this" is something else.
template <size_t N>
struct HotCall {
  EngineWrap* self = nullptr;
  std::array<napi_value, N> arguments{};
};

template <size_t N>
HotCall<N> ReadCall(napi_env env, napi_callback_info info) {
  HotCall<N> call;
  size_t count = N;
  napi_value self = nullptr;
  void* wrap = nullptr;
  if (napi_get_cb_info(env, info, &count, call.arguments.data(), &self, nullptr) == napi_ok &&
      napi_unwrap(env, self, &wrap) == napi_ok) {
    call.self = static_cast<EngineWrap*>(wrap);
  }
  return call;
}

inline double ReadNumber(napi_env env, napi_value value) {
  double number = -1;
  return napi_get_value_double(env, value, &number) == napi_ok ? number : -1;
}

inline uint32_t ReadIndex(napi_env env, napi_value value) {
  const double number = ReadNumber(env, value);
  return number >= 0 && number < UINT32_MAX ? static_cast<uint32_t>(number) : UINT32_MAX;
}

template <typename T>
std::span<T> ReadArray(napi_env env, napi_value value, napi_typedarray_type wanted) {
  bool is_array = false;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array) return {};
  napi_typedarray_type type{};
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != wanted || data == nullptr) {
    return {};
  }
  return {static_cast<T*>(data), length};
}

inline napi_value Truth(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

inline napi_value Number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_HOT_CALL_H_
