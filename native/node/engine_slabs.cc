// The part of `Engine` that has to do with the pool: slabs, and what JavaScript sees of them.

#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "node/convert.h"
#include "node/engine_wrap.h"
#include "node/external_buffer.h"
#include "node/hot_call.h"

namespace ringbolt {

namespace {

// Tells the pool when the last view of a slab is gone.
class SlabView {
 public:
  SlabView(std::shared_ptr<SlabPool> pool, uint32_t unit)
      : pool_(std::move(pool)), unit_(unit), generation_(pool_->NextBufferGeneration(unit)) {}
  SlabView(SlabView&& other) noexcept = default;
  SlabView& operator=(SlabView&&) = delete;
  SlabView(const SlabView&) = delete;
  SlabView& operator=(const SlabView&) = delete;
  ~SlabView() {
    if (pool_ != nullptr) pool_->NoteForgotten({unit_, generation_});
  }

  [[nodiscard]] uint32_t generation() const { return generation_; }

 private:
  std::shared_ptr<SlabPool> pool_;
  uint32_t unit_;
  uint32_t generation_;
};

}  // namespace

// acquireSlab(class): the unit of a slab, or undefined if there is none.
napi_value EngineWrap::AcquireSlab(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<1>(env, info);
  if (call.self == nullptr || call.self->pool_ == nullptr) return nullptr;
  const uint32_t slab_class = ReadIndex(env, call.arguments[0]);
  if (slab_class >= call.self->pool_->class_count()) return nullptr;
  const uint32_t unit = call.self->pool_->Acquire(slab_class);
  return unit == kNoSlab ? nullptr : Number(env, unit);
}

// releaseSlab(unit): false if that slab is not leased.
napi_value EngineWrap::ReleaseSlab(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<1>(env, info);
  return Truth(env, call.self != nullptr && call.self->pool_ != nullptr &&
                        call.self->pool_->Release(ReadIndex(env, call.arguments[0])));
}

// slabBuffer(unit, bytes): { buffer, generation }, a new ArrayBuffer over the beginning of a leased
// slab, by default over all of it; without external buffers, one of its own as large as that.
Napi::Value EngineWrap::SlabBuffer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  double unit = 0;
  if (!ReadInteger(info[0], "unit", 0, UINT32_MAX, &unit)) return env.Undefined();
  const auto slab = static_cast<uint32_t>(unit);
  if (pool_ == nullptr || !pool_->IsLeased(slab)) {
    Napi::RangeError::New(env, "not a leased slab").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  double bytes = pool_->SlabBytes(slab);
  if (!info[1].IsUndefined() && !ReadInteger(info[1], "bytes", 1, bytes, &bytes)) {
    return env.Undefined();
  }
  SlabView view(pool_, slab);
  const uint32_t generation = view.generation();
  const auto size = static_cast<size_t>(bytes);
  napi_value buffer = nullptr;
  const napi_status status =
      external_buffers_.active
          ? MakeExternalBuffer(env, pool_->SlabData(slab), size, std::move(view), &buffer)
          : MakeOwnBuffer(env, size, std::move(view), &buffer);
  if (status != napi_ok) {
    Napi::Error::New(env, "no memory for an ArrayBuffer").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("buffer", buffer);
  result.Set("generation", generation);
  return result;
}

namespace {

// fillSlab and readSlab(unit, at, array): copies all of an array to a leased slab, or from it;
// false if the slab does not go so far.
template <typename Copy>
napi_value CopySlab(napi_env env, const HotCall<3>& call, const SlabPool* pool, Copy copy) {
  const auto& [unit, at, value] = call.arguments;
  const std::span<uint8_t> array = ReadArray<uint8_t>(env, value, napi_uint8_array);
  if (pool == nullptr || array.empty() || array.size() > UINT32_MAX) return Truth(env, false);
  uint8_t* slab =
      pool->Resolve(ReadIndex(env, unit), ReadIndex(env, at), static_cast<uint32_t>(array.size()));
  if (slab == nullptr) return Truth(env, false);
  copy(slab, array);
  return Truth(env, true);
}

}  // namespace

napi_value EngineWrap::FillSlab(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<3>(env, info);
  const SlabPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
  return CopySlab(env, call, pool, [](uint8_t* slab, std::span<const uint8_t> array) {
    std::memmove(slab, array.data(), array.size());  // which may be one over the slab
  });
}

napi_value EngineWrap::ReadSlab(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<3>(env, info);
  const SlabPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
  return CopySlab(env, call, pool, [](const uint8_t* slab, std::span<uint8_t> array) {
    std::memmove(array.data(), slab, array.size());
  });
}

// takeForgotten(): [{ unit, generation }], slabs whose last ArrayBuffer is gone although they are
// leased.
Napi::Value EngineWrap::TakeForgotten(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  if (pool_ == nullptr) return result;
  uint32_t index = 0;
  for (const SlabPool::Forgotten& slab : pool_->TakeForgotten()) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("unit", slab.unit);
    entry.Set("generation", slab.generation);
    result.Set(index++, entry);
  }
  return result;
}

// putForgotten(unit, generation): to be told of again.
Napi::Value EngineWrap::PutForgotten(const Napi::CallbackInfo& info) {
  SlabPool::Forgotten slab;
  if (pool_ != nullptr && ReadIdentity(info, "unit", &slab.unit, &slab.generation)) {
    pool_->NoteForgotten(slab);
  }
  return info.Env().Undefined();
}

// reclaimSlab(unit, generation): false if the slab has another buffer by now, or is not leased.
Napi::Value EngineWrap::ReclaimSlab(const Napi::CallbackInfo& info) {
  SlabPool::Forgotten slab;
  const bool reclaimed = pool_ != nullptr &&
                         ReadIdentity(info, "unit", &slab.unit, &slab.generation) &&
                         pool_->Reclaim(slab);
  return Napi::Boolean::New(info.Env(), reclaimed);
}

// poolStats(): { leaked, classes: [{ slabBytes, capacity, inUse, ... }] }, as in SlabClassStats
Napi::Value EngineWrap::PoolStats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (pool_ == nullptr) return env.Undefined();
  Napi::Object stats = Napi::Object::New(env);
  stats.Set("leaked", static_cast<double>(pool_->leaked()));
  Napi::Array classes = Napi::Array::New(env, pool_->class_count());
  for (uint32_t i = 0; i < pool_->class_count(); ++i) {
    const SlabClassStats of = pool_->ClassStats(i);
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("slabBytes", of.slab_bytes);
    entry.Set("capacity", of.capacity);
    entry.Set("inUse", of.in_use);
    entry.Set("highWater", of.high_water);
    entry.Set("acquired", static_cast<double>(of.acquired));
    entry.Set("substituted", static_cast<double>(of.substituted));
    entry.Set("misses", static_cast<double>(of.misses));
    classes.Set(i, entry);
  }
  stats.Set("classes", classes);
  return stats;
}

}  // namespace ringbolt
