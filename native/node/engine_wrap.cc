#include "node/engine_wrap.h"

#include <string>
#include <utility>

#include "io/choose_backend.h"
#include "node/convert.h"
#include "node/read_options.h"
#include "node/stats_layout.h"

namespace ringbolt {

namespace {

// An ArrayBuffer over memory that native code owns; `owner` is dropped when JavaScript can no
// longer see it.
template <typename Owner>
napi_value ExternalBuffer(napi_env env, void* data, size_t bytes, Owner owner) {
  auto* hint = new Owner(std::move(owner));
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, data, bytes, [](napi_env, void*, void* raw) { delete static_cast<Owner*>(raw); }, hint,
      &buffer);
  if (status == napi_ok) return buffer;
  delete hint;
  Napi::Error::New(env, "this runtime does not allow external array buffers")
      .ThrowAsJavaScriptException();
  return nullptr;
}

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

// Reads up to N numbers without exceptions; a missing or foreign one reads as UINT32_MAX, which no
// caller accepts.
template <size_t N>
EngineWrap* ReadHotCall(napi_env env, napi_callback_info info, uint32_t (&numbers)[N]) {
  size_t count = N;
  napi_value arguments[N];
  napi_value self = nullptr;
  void* wrap = nullptr;
  if (napi_get_cb_info(env, info, &count, arguments, &self, nullptr) != napi_ok) return nullptr;
  for (size_t i = 0; i < N; ++i) {
    double number = -1;
    const bool good = napi_get_value_double(env, arguments[i], &number) == napi_ok && number >= 0 &&
                      number < UINT32_MAX;
    numbers[i] = good ? static_cast<uint32_t>(number) : UINT32_MAX;
  }
  if (napi_unwrap(env, self, &wrap) != napi_ok) return nullptr;
  return static_cast<EngineWrap*>(wrap);
}

napi_value ToJs(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

}  // namespace

Napi::Function EngineWrap::Define(Napi::Env env) {
  const auto hot = [](const char* name, napi_callback method) {
    napi_property_descriptor descriptor{};
    descriptor.utf8name = name;
    descriptor.method = method;
    descriptor.attributes = napi_default_method;
    return Napi::ClassPropertyDescriptor<EngineWrap>(descriptor);
  };
  return DefineClass(env, "Engine",
                     {
                         InstanceMethod<&EngineWrap::Start>("start"),
                         InstanceMethod<&EngineWrap::Stop>("stop"),
                         InstanceMethod<&EngineWrap::Abandon>("abandon"),
                         InstanceMethod<&EngineWrap::OpenFile>("openFile"),
                         InstanceMethod<&EngineWrap::CloseFile>("closeFile"),
                         InstanceMethod<&EngineWrap::ChangeSpace>("changeSpace"),
                         InstanceMethod<&EngineWrap::QueueBlocks>("queueBlocks"),
                         InstanceMethod<&EngineWrap::QueueStats>("queueStats"),
                         InstanceMethod<&EngineWrap::SlabBuffer>("slabBuffer"),
                         InstanceMethod<&EngineWrap::TakeForgotten>("takeForgotten"),
                         InstanceMethod<&EngineWrap::PutForgotten>("putForgotten"),
                         InstanceMethod<&EngineWrap::ReclaimSlab>("reclaimSlab"),
                         InstanceMethod<&EngineWrap::PoolStats>("poolStats"),
                         hot("kick", Kick),
                         hot("acquireSlab", AcquireSlab),
                         hot("releaseSlab", ReleaseSlab),
                         hot("prepareChecksums", PrepareChecksums),
                         hot("putExpected", PutExpected),
                         hot("takeChecksums", TakeChecksums),
                         hot("copyChecksummed", CopyChecksummed),
                     });
}

// new Engine(options, deliver): `deliver(queue, count)` is called with completions to read.
EngineWrap::EngineWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject() || !info[1].IsFunction()) {
    Napi::TypeError::New(env, "Engine(options, deliver)").ThrowAsJavaScriptException();
    return;
  }
  EngineOptions options;
  if (!ReadEngineOptions(info[0].As<Napi::Object>(), &options)) return;
  options.backend_factory = CreateBackend;

  info.This().As<Napi::Object>().DefineProperty(
      Napi::PropertyDescriptor::Value("deliver", info[1], napi_default));
  if (napi_create_reference(env, info[1], 0, &deliver_) != napi_ok) return;
  host_ = EngineHost::Create(env, std::move(options), this);
}

EngineWrap::~EngineWrap() {
  if (host_ != nullptr) host_->Dispose(EngineHost::kCleanUpNs);
  if (deliver_ != nullptr) napi_delete_reference(Env(), deliver_);
}

bool EngineWrap::Alive(Napi::Env env) const {
  if (host_ != nullptr) return true;
  Napi::Error::New(env, "the engine has ended").ThrowAsJavaScriptException();
  return false;
}

bool EngineWrap::MayPost(Napi::Env env) const {
  if (!Alive(env)) return false;
  if (!stop_called_) return true;
  Napi::Error::New(env, "stop() was called before").ThrowAsJavaScriptException();
  return false;
}

// --- Owner ---

void EngineWrap::Deliver(napi_env env, uint32_t queue, uint32_t count) {
  napi_value function = nullptr;
  napi_value self = Value();
  napi_value arguments[2];
  if (napi_get_reference_value(env, deliver_, &function) != napi_ok || function == nullptr) return;
  napi_create_uint32(env, queue, &arguments[0]);
  napi_create_uint32(env, count, &arguments[1]);
  if (napi_call_function(env, self, function, 2, arguments, nullptr) != napi_pending_exception) {
    return;
  }
  // lib/ throws nothing here; what does come out is a bug, or a worker's termination, and must not
  // be swallowed.
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void EngineWrap::SetBusy(bool busy) { busy ? (void)Ref() : (void)Unref(); }

void EngineWrap::HostGone() { host_ = nullptr; }

// --- Life ---

// Resolves to a description of what was got, or to { errno, syscall, detail }.
Napi::Value EngineWrap::Start(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!MayPost(env)) return env.Undefined();
  if (std::exchange(start_called_, true)) {
    Napi::Error::New(env, "start() was called before").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto deferred = Napi::Promise::Deferred::New(env);
  auto status = std::make_shared<Status>();
  host_->Post([engine = host_->engine(), status] { *status = engine->Start(); },
              [this, env, deferred, status] {
                if (!status->ok()) return deferred.Resolve(FailureToJs(env, *status));
                pool_ = host_->engine()->pool();
                if (!stop_called_) host_->Open();
                deferred.Resolve(Describe(env));
              });
  return deferred.Promise();
}

Napi::Object EngineWrap::Describe(Napi::Env env) const {
  Napi::Object result = Napi::Object::New(env);
  const auto& engine = host_->engine();
  const Arena& arena = *engine->pool()->arena();
  result.Set("poolBytes", static_cast<double>(arena.bytes()));
  result.Set("hugeBytes", static_cast<double>(arena.huge_bytes()));
  result.Set("memoryRemarks", arena.remarks());
  Napi::Array queues = Napi::Array::New(env, engine->queues().size());
  for (uint32_t i = 0; i < engine->queues().size(); ++i) {
    const Queue& queue = *engine->queues()[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("backend", queue.backend_name());
    entry.Set("cpus", NumbersToJs(env, queue.cpus_got()));
    entry.Set("bind", FailureToJs(env, queue.bind_status()));
    Napi::Array features = Napi::Array::New(env, queue.features().size());
    for (uint32_t f = 0; f < queue.features().size(); ++f) {
      Napi::Object feature = Napi::Object::New(env);
      feature.Set("name", queue.features()[f].name);
      feature.Set("active", queue.features()[f].active);
      feature.Set("reason", queue.features()[f].reason);
      features.Set(f, feature);
    }
    entry.Set("features", features);
    Napi::Array passed_over = Napi::Array::New(env, queue.passed_over().size());
    for (uint32_t p = 0; p < queue.passed_over().size(); ++p) {
      Napi::Object tried = FailureToJs(env, queue.passed_over()[p].status);
      tried.Set("backend", queue.passed_over()[p].name);
      passed_over.Set(p, tried);
    }
    entry.Set("passedOver", passed_over);
    queues.Set(i, entry);
  }
  result.Set("queues", queues);
  return result;
}

// Drains and joins all queues, then ends the host; resolves to undefined.
Napi::Value EngineWrap::Stop(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!MayPost(env)) return env.Undefined();
  const auto deferred = Napi::Promise::Deferred::New(env);
  stop_called_ = true;
  host_->Seal();
  host_->Post([engine = host_->engine()] { (void)engine->Stop(StopMode::kDrain, kNoDeadline); },
              [this, env, deferred] {
                deferred.Resolve(env.Undefined());
                if (host_ != nullptr) host_->Dispose(EngineHost::kCleanUpNs);
              });
  return deferred.Promise();
}

// Ends the host at once and waits for nothing: threads end when their devices let them. Promises
// that are outstanding never settle.
Napi::Value EngineWrap::Abandon(const Napi::CallbackInfo& info) {
  stop_called_ = true;
  if (host_ != nullptr) host_->Dispose(0);
  return info.Env().Undefined();
}

// --- Queues ---

// queueBlocks(queue): { submissions, completions }, the rings' slots as ArrayBuffers.
Napi::Value EngineWrap::QueueBlocks(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  double index = 0;
  if (!Alive(env)) return env.Undefined();
  const auto& queues = host_->engine()->queues();
  if (pool_ == nullptr ||
      !ReadInteger(info[0], "queue", 0, static_cast<double>(queues.size()) - 1, &index)) {
    return env.Undefined();
  }
  const Queue& queue = *queues[static_cast<size_t>(index)];
  napi_value submissions =
      ExternalBuffer(env, queue.submission_block().get(), queue.capacity() * sizeof(OpSlot),
                     queue.submission_block());
  if (submissions == nullptr) return env.Undefined();
  napi_value completions =
      ExternalBuffer(env, queue.completion_block().get(), queue.capacity() * sizeof(CompletionSlot),
                     queue.completion_block());
  if (completions == nullptr) return env.Undefined();
  Napi::Object blocks = Napi::Object::New(env);
  blocks.Set("submissions", submissions);
  blocks.Set("completions", completions);
  return blocks;
}

// kick(queue, count): false if the queue would not take them.
napi_value EngineWrap::Kick(napi_env env, napi_callback_info info) {
  uint32_t numbers[2];
  EngineWrap* self = ReadHotCall(env, info, numbers);
  return ToJs(
      env, self != nullptr && self->host_ != nullptr && self->host_->Kick(numbers[0], numbers[1]));
}

// queueStats(queue, out: Float64Array): fills `out` as stats_layout.h says.
Napi::Value EngineWrap::QueueStats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  double index = 0;
  if (!Alive(env)) return env.Undefined();
  const auto& queues = host_->engine()->queues();
  if (pool_ == nullptr ||
      !ReadInteger(info[0], "queue", 0, static_cast<double>(queues.size()) - 1, &index)) {
    return env.Undefined();
  }
  if (!info[1].IsTypedArray() ||
      info[1].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array ||
      info[1].As<Napi::TypedArray>().ElementLength() < kQueueStatsNumbers) {
    Napi::TypeError::New(env, "out must be a Float64Array that is long enough")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  WriteQueueStats(*queues[static_cast<size_t>(index)], info[1].As<Napi::Float64Array>().Data());
  return env.Undefined();
}

// --- Memory ---

// acquireSlab(class): the unit of a slab, or undefined if there is none.
napi_value EngineWrap::AcquireSlab(napi_env env, napi_callback_info info) {
  uint32_t numbers[1];
  EngineWrap* self = ReadHotCall(env, info, numbers);
  napi_value result = nullptr;
  if (self == nullptr || self->pool_ == nullptr || numbers[0] >= self->pool_->class_count()) {
    return result;
  }
  const uint32_t unit = self->pool_->Acquire(numbers[0]);
  if (unit != kNoSlab) napi_create_uint32(env, unit, &result);
  return result;
}

// releaseSlab(unit): false if that slab is not leased.
napi_value EngineWrap::ReleaseSlab(napi_env env, napi_callback_info info) {
  uint32_t numbers[1];
  EngineWrap* self = ReadHotCall(env, info, numbers);
  return ToJs(env, self != nullptr && self->pool_ != nullptr && self->pool_->Release(numbers[0]));
}

// slabBuffer(unit, bytes): { buffer, generation }, a new ArrayBuffer over the beginning of a leased
// slab, by default over all of it.
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
  napi_value buffer =
      ExternalBuffer(env, pool_->SlabData(slab), static_cast<size_t>(bytes), std::move(view));
  if (buffer == nullptr) return env.Undefined();
  Napi::Object result = Napi::Object::New(env);
  result.Set("buffer", buffer);
  result.Set("generation", generation);
  return result;
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

namespace {

bool ReadForgotten(const Napi::CallbackInfo& info, SlabPool::Forgotten* slab) {
  double unit = 0;
  double generation = 0;
  if (!ReadInteger(info[0], "unit", 0, UINT32_MAX, &unit) ||
      !ReadInteger(info[1], "generation", 0, UINT32_MAX, &generation)) {
    return false;
  }
  *slab = {static_cast<uint32_t>(unit), static_cast<uint32_t>(generation)};
  return true;
}

}  // namespace

// putForgotten(unit, generation): to be told of again.
Napi::Value EngineWrap::PutForgotten(const Napi::CallbackInfo& info) {
  SlabPool::Forgotten slab;
  if (pool_ != nullptr && ReadForgotten(info, &slab)) pool_->NoteForgotten(slab);
  return info.Env().Undefined();
}

// reclaimSlab(unit, generation): false if the slab has another buffer by now, or is not leased.
Napi::Value EngineWrap::ReclaimSlab(const Napi::CallbackInfo& info) {
  SlabPool::Forgotten slab;
  const bool reclaimed = pool_ != nullptr && ReadForgotten(info, &slab) && pool_->Reclaim(slab);
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
