#include "node/convert.h"

#include <cmath>

namespace ringbolt {

namespace {

bool Refuse(Napi::Env env, const char* name, const char* expected) {
  if (env.IsExceptionPending()) return false;  // a getter threw: its error says more
  Napi::TypeError::New(env, std::string(name) + " must be " + expected)
      .ThrowAsJavaScriptException();
  return false;
}

// False if there is no value: a getter threw, or the worker is being terminated. An empty value has
// no environment either, so it must not be asked for one.
bool Get(const Napi::Object& from, const char* name, Napi::Value* value) {
  *value = from.Get(name);
  return !value->IsEmpty() && !from.Env().IsExceptionPending();
}

// The array's elements one by one; `read` returns false with an exception pending.
template <typename Read>
bool ReadArray(const Napi::Object& from, const char* name, uint32_t max_length, Read read) {
  Napi::Value value;
  if (!Get(from, name, &value)) return false;
  if (!value.IsArray()) return Refuse(from.Env(), name, "an array");
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  if (length > max_length) return Refuse(from.Env(), name, "shorter");
  for (uint32_t i = 0; i < length; ++i) {
    const Napi::Value element = array.Get(i);
    if (element.IsEmpty() || !read(element)) return false;
  }
  return true;
}

constexpr uint32_t kMaxArray = 8192;

}  // namespace

bool ReadInteger(const Napi::Value& value, const char* name, double min, double max,
                 double* result) {
  if (value.IsEmpty()) return false;
  if (!value.IsNumber()) return Refuse(value.Env(), name, "a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= min && number <= max) || number != std::trunc(number)) {
    return Refuse(value.Env(), name, "an integer in range");
  }
  *result = number;
  return true;
}

bool ReadField(const Napi::Object& from, const char* name, double min, double max, double* result) {
  Napi::Value value;
  return Get(from, name, &value) && ReadInteger(value, name, min, max, result);
}

bool ReadField(const Napi::Object& from, const char* name, uint32_t min, uint32_t max,
               uint32_t* result) {
  double number = 0;
  if (!ReadField(from, name, static_cast<double>(min), static_cast<double>(max), &number)) {
    return false;
  }
  *result = static_cast<uint32_t>(number);
  return true;
}

bool ReadField(const Napi::Object& from, const char* name, bool* result) {
  Napi::Value value;
  if (!Get(from, name, &value)) return false;
  if (!value.IsBoolean()) return Refuse(from.Env(), name, "a boolean");
  *result = value.As<Napi::Boolean>().Value();
  return true;
}

bool ReadField(const Napi::Object& from, const char* name, std::string* result) {
  Napi::Value value;
  if (!Get(from, name, &value)) return false;
  if (!value.IsString()) return Refuse(from.Env(), name, "a string");
  *result = value.As<Napi::String>().Utf8Value();
  return true;
}

bool ReadField(const Napi::Object& from, const char* name, uint32_t min, uint32_t max,
               std::vector<uint32_t>* result) {
  return ReadArray(from, name, kMaxArray, [&](const Napi::Value& value) {
    double number = 0;
    if (!ReadInteger(value, name, min, max, &number)) return false;
    result->push_back(static_cast<uint32_t>(number));
    return true;
  });
}

bool ReadField(const Napi::Object& from, const char* name, std::vector<std::string>* result) {
  return ReadArray(from, name, kMaxArray, [&](const Napi::Value& value) {
    if (!value.IsString()) return Refuse(from.Env(), name, "an array of strings");
    result->push_back(value.As<Napi::String>().Utf8Value());
    return true;
  });
}

bool ReadIdentity(const Napi::CallbackInfo& info, const char* name, uint32_t* which,
                  uint32_t* generation) {
  double first = 0;
  double second = 0;
  if (!ReadInteger(info[0], name, 0, UINT32_MAX, &first) ||
      !ReadInteger(info[1], "generation", 0, UINT32_MAX, &second)) {
    return false;
  }
  *which = static_cast<uint32_t>(first);
  *generation = static_cast<uint32_t>(second);
  return true;
}

Napi::Object FeatureToJs(Napi::Env env, const BackendFeature& feature) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", feature.name);
  result.Set("active", feature.active);
  result.Set("reason", feature.reason);
  return result;
}

Napi::Array FeaturesToJs(Napi::Env env, const std::vector<BackendFeature>& features) {
  Napi::Array array = Napi::Array::New(env, features.size());
  for (uint32_t i = 0; i < features.size(); ++i) array.Set(i, FeatureToJs(env, features[i]));
  return array;
}

Napi::Object FailureToJs(Napi::Env env, const Status& status) {
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("errno", status.error());
  failure.Set("syscall", status.syscall());
  failure.Set("detail", status.detail());
  return failure;
}

}  // namespace ringbolt
