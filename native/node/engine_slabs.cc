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
  SlabView(std::shared_ptr<BufferPool> pool, uint32_t unit)
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
  std::shared_ptr<BufferPool> pool_;
  uint32_t unit_;
  uint32_t generation_;
};

}  // namespace

namespace {

const char* NameOf(PageKind pages) {
  switch (pages) {
    case PageKind::kHugetlb:
      return "hugetlb";
    case PageKind::kTransparent:
      return "transparent";
    case PageKind::kPlain:
      break;
  }
  return "plain";
}

// Where the kernel does not tell: -1.
double BytesOnNode(const PartInfo& part) {
  if (part.places.empty()) return -1;
  double bytes = 0;
  for (const NodeBytes& place : part.places) {
    if (place.node == part.node) bytes += static_cast<double>(place.bytes);
  }
  return bytes;
}

double UnitAt(size_t offset) {
  const size_t unit = offset / kSlabUnitBytes;
  return static_cast<double>(unit);
}

std::string Joined(const std::vector<std::string>& remarks) {
  std::string text;
  for (const std::string& remark : remarks) {
    if (!text.empty()) text += "; ";
    text += remark;
  }
  return text;
}

}  // namespace

// { poolParts: [{ node, bytes, firstUnit, pages, hugeBytes, bytesOnNode, remarks }], poolUnits,
// largeUnit, largeBytes, memoryRemarks }
void EngineWrap::DescribePool(Napi::Env env, Napi::Object result) const {
  const Arena& arena = *pool_->arena();
  Napi::Array parts = Napi::Array::New(env, arena.parts().size());
  for (uint32_t i = 0; i < arena.parts().size(); ++i) {
    const PartInfo& part = arena.parts()[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("node", part.node);
    entry.Set("bytes", static_cast<double>(part.bytes));
    entry.Set("firstUnit", UnitAt(part.offset));
    entry.Set("pages", NameOf(part.pages));
    entry.Set("hugeBytes", static_cast<double>(part.huge_bytes));
    entry.Set("bytesOnNode", BytesOnNode(part));
    entry.Set("remarks", Joined(part.remarks));
    parts.Set(i, entry);
  }
  result.Set("poolParts", parts);
  result.Set("poolUnits", UnitAt(arena.bytes()));
  const size_t large = arena.large_bytes() == 0 ? arena.bytes() : arena.large_offset();
  result.Set("largeUnit", UnitAt(large));
  result.Set("largeBytes", static_cast<double>(arena.large_bytes()));
  result.Set("memoryRemarks", arena.remarks());
}

// takeSlabs(part, class, out): how many units of free slabs were written to the beginning of `out`.
napi_value EngineWrap::TakeSlabs(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<3>(env, info);
  BufferPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
  const uint32_t part = ReadIndex(env, call.arguments[0]);
  const uint32_t slab_class = ReadIndex(env, call.arguments[1]);
  const auto out = ReadArray<uint32_t>(env, call.arguments[2], napi_uint32_array);
  if (pool == nullptr || part >= pool->part_count() || slab_class >= pool->class_count()) {
    return Number(env, 0);
  }
  return Number(env, pool->AcquireMany(slab_class, part, out));
}

// giveSlabs(units, count): how many of them were leased, and are not any more.
napi_value EngineWrap::GiveSlabs(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<2>(env, info);
  BufferPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
  const auto units = ReadArray<uint32_t>(env, call.arguments[0], napi_uint32_array);
  const uint32_t count = ReadIndex(env, call.arguments[1]);
  if (pool == nullptr || count > units.size()) return Number(env, 0);
  return Number(env, pool->ReleaseMany(units.first(count)));
}

// takeLarge(bytes): the first unit, or -1.
napi_value EngineWrap::TakeLarge(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<1>(env, info);
  BufferPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
  const double bytes = ReadNumber(env, call.arguments[0]);
  if (pool == nullptr || !(bytes >= 1 && bytes <= kMaxSafeInteger)) return Number(env, -1);
  const uint32_t unit = pool->AcquireLarge(static_cast<size_t>(bytes));
  return Number(env, unit == kNoSlab ? -1 : static_cast<double>(unit));
}

napi_value EngineWrap::GiveLarge(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<1>(env, info);
  BufferPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
  if (pool != nullptr) (void)pool->ReleaseLarge(ReadIndex(env, call.arguments[0]));
  return nullptr;
}

// detachBuffer(buffer): false if that is no ArrayBuffer, or cannot be detached. JavaScript has no
// way of its own for one over native memory: Node copies those where others are transferred.
napi_value EngineWrap::DetachBuffer(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<1>(env, info);
  return Truth(env,
               call.self != nullptr && napi_detach_arraybuffer(env, call.arguments[0]) == napi_ok);
}

// trimPool(): resolves to the bytes that were given back.
Napi::Value EngineWrap::TrimPool(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!MayPost(env)) return env.Undefined();
  if (pool_ == nullptr) {
    Napi::Error::New(env, "the engine has not started").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto deferred = Napi::Promise::Deferred::New(env);
  auto bytes = std::make_shared<size_t>(0);
  host_->Post([pool = pool_, bytes] { *bytes = pool->Trim(); },
              [env, deferred, bytes] {
                deferred.Resolve(Napi::Number::New(env, static_cast<double>(*bytes)));
              });
  return deferred.Promise();
}

// giveLargeLater(unit): as giveLarge(), by the control thread, for whose discarding of pages
// JavaScript does not wait; resolves to undefined once the memory may be leased again.
Napi::Value EngineWrap::GiveLargeLater(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  double unit = 0;
  if (!MayPost(env) || !ReadInteger(info[0], "unit", 0, UINT32_MAX, &unit)) return env.Undefined();
  if (pool_ == nullptr) {
    Napi::Error::New(env, "the engine has not started").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto deferred = Napi::Promise::Deferred::New(env);
  host_->Post(
      [pool = pool_, first = static_cast<uint32_t>(unit)] { (void)pool->ReleaseLarge(first); },
      [env, deferred] { deferred.Resolve(env.Undefined()); });
  return deferred.Promise();
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
  auto bytes = static_cast<double>(pool_->LeasedBytes(slab));
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
    if (!env.IsExceptionPending()) {
      Napi::Error::New(env, "no memory for an ArrayBuffer").ThrowAsJavaScriptException();
    }
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
napi_value CopySlab(napi_env env, const HotCall<3>& call, const BufferPool* pool, Copy copy) {
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
  const BufferPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
  return CopySlab(env, call, pool, [](uint8_t* slab, std::span<const uint8_t> array) {
    std::memmove(slab, array.data(), array.size());  // which may be one over the slab
  });
}

napi_value EngineWrap::ReadSlab(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<3>(env, info);
  const BufferPool* pool = call.self == nullptr ? nullptr : call.self->pool_.get();
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
  for (const BufferPool::Forgotten& slab : pool_->TakeForgotten()) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("unit", slab.unit);
    entry.Set("generation", slab.generation);
    result.Set(index++, entry);
  }
  return result;
}

// putForgotten(unit, generation): to be told of again.
Napi::Value EngineWrap::PutForgotten(const Napi::CallbackInfo& info) {
  BufferPool::Forgotten slab;
  if (pool_ != nullptr && ReadIdentity(info, "unit", &slab.unit, &slab.generation)) {
    pool_->NoteForgotten(slab);
  }
  return info.Env().Undefined();
}

// poolStats(): { parts: [{ slabs: by class, remote }], largestFreeBytes }
Napi::Value EngineWrap::PoolStats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (pool_ == nullptr) return env.Undefined();
  const ringbolt::PoolStats pool = pool_->Stats();
  Napi::Array parts = Napi::Array::New(env, pool.parts.size());
  for (uint32_t part = 0; part < pool.parts.size(); ++part) {
    const auto& classes = pool.parts[part].classes;
    Napi::Array slabs = Napi::Array::New(env, classes.size());
    double remote = 0;
    for (uint32_t i = 0; i < classes.size(); ++i) {
      slabs.Set(i, static_cast<double>(classes[i].cut));
      remote += static_cast<double>(classes[i].remote);
    }
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("slabs", slabs);
    entry.Set("remote", remote);
    parts.Set(part, entry);
  }
  Napi::Object stats = Napi::Object::New(env);
  stats.Set("parts", parts);
  stats.Set("largestFreeBytes", static_cast<double>(pool_->LargestUncutBytes()));
  return stats;
}

}  // namespace ringbolt
