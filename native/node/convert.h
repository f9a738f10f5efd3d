// From JavaScript values to native ones and back. Each reader checks type and range; on a mismatch
// it leaves a JavaScript exception pending and returns false. lib/ has checked the same before with
// better words: these checks are for whoever calls the addon directly.

#ifndef RINGBOLT_NODE_CONVERT_H_
#define RINGBOLT_NODE_CONVERT_H_

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/features.h"

namespace ringbolt {

inline constexpr double kMaxSafeInteger = 9007199254740991.0;

bool ReadInteger(const Napi::Value& value, const char* name, double min, double max,
                 double* result);
bool ReadField(const Napi::Object& from, const char* name, uint32_t min, uint32_t max,
               uint32_t* result);
bool ReadField(const Napi::Object& from, const char* name, double min, double max, double* result);
bool ReadField(const Napi::Object& from, const char* name, bool* result);
bool ReadField(const Napi::Object& from, const char* name, std::string* result);
bool ReadField(const Napi::Object& from, const char* name, uint32_t min, uint32_t max,
               std::vector<uint32_t>* result);
bool ReadField(const Napi::Object& from, const char* name, std::vector<std::string>* result);

// The first two arguments of a method: which, called `name`, and its generation. False with an
// exception pending.
bool ReadIdentity(const Napi::CallbackInfo& info, const char* name, uint32_t* which,
                  uint32_t* generation);

// { name, active, reason }
Napi::Object FeatureToJs(Napi::Env env, const BackendFeature& feature);
Napi::Array FeaturesToJs(Napi::Env env, const std::vector<BackendFeature>& features);

// { errno, syscall, detail }: what lib/errors.ts makes an Error of.
Napi::Object FailureToJs(Napi::Env env, const Status& status);

template <typename T>
Napi::Array NumbersToJs(Napi::Env env, const std::vector<T>& numbers) {
  Napi::Array array = Napi::Array::New(env, numbers.size());
  for (uint32_t i = 0; i < numbers.size(); ++i) array.Set(i, Napi::Number::New(env, numbers[i]));
  return array;
}

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_CONVERT_H_
