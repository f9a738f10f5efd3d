#include "node/engine_wrap.h"

#include <string>
#include <utility>

#include "io/choose_backend.h"
#include "node/convert.h"
#include "node/external_buffer.h"
#include "node/hot_call.h"
#include "node/read_options.h"
#include "node/stats_layout.h"

namespace ringbolt {

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
                         InstanceMethod<&EngineWrap::StartDriven>("startDriven"),
                         InstanceMethod<&EngineWrap::QueueBlocks>("queueBlocks"),
                         InstanceMethod<&EngineWrap::QueueStats>("queueStats"),
                         InstanceMethod<&EngineWrap::SlabBuffer>("slabBuffer"),
                         InstanceMethod<&EngineWrap::TakeForgotten>("takeForgotten"),
                         InstanceMethod<&EngineWrap::PutForgotten>("putForgotten"),
                         InstanceMethod<&EngineWrap::TrimPool>("trimPool"),
                         InstanceMethod<&EngineWrap::GiveLargeLater>("giveLargeLater"),
                         InstanceMethod<&EngineWrap::PoolStats>("poolStats"),
                         hot("kick", Kick),
                         hot("drive", Drive),
                         hot("takeSlabs", TakeSlabs),
                         hot("giveSlabs", GiveSlabs),
                         hot("takeLarge", TakeLarge),
                         hot("giveLarge", GiveLarge),
                         hot("detachBuffer", DetachBuffer),
                         hot("fillSlab", FillSlab),
                         hot("readSlab", ReadSlab),
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
  if (IsDisabled(options.without_features, kExternalBuffers)) {
    external_buffers_ = DisabledFeature(kExternalBuffers);
  }

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
  if (ring_copies_ != nullptr) ring_copies_->CopyOut(queue, count);
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
                if (external_buffers_.active) external_buffers_ = TryExternalBuffers(env);
                if (!external_buffers_.active) {
                  ring_copies_ = std::make_unique<RingCopies>(env, host_->engine()->queues());
                }
                if (!stop_called_) host_->Open();
                deferred.Resolve(Describe(env));
              });
  return deferred.Promise();
}

Napi::Object EngineWrap::Describe(Napi::Env env) const {
  Napi::Object result = Napi::Object::New(env);
  const auto& engine = host_->engine();
  DescribePool(env, result);
  result.Set("externalBuffers", FeatureToJs(env, external_buffers_));
  Napi::Array queues = Napi::Array::New(env, engine->queues().size());
  for (uint32_t i = 0; i < engine->queues().size(); ++i) {
    const Queue& queue = *engine->queues()[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("backend", queue.backend_name());
    entry.Set("cpus", NumbersToJs(env, queue.cpus_got()));
    entry.Set("bind", FailureToJs(env, queue.bind_status()));
    entry.Set("features", FeaturesToJs(env, queue.features()));
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

// Null, and mostly an exception, where that names no queue.
const Queue* EngineWrap::ReadQueue(const Napi::Value& value) const {
  if (pool_ == nullptr) return nullptr;
  const auto count = static_cast<double>(host_->engine()->queues().size());
  const double last = host_->driven() == nullptr ? count - 1 : count;
  double index = 0;
  if (!ReadInteger(value, "queue", 0, last, &index)) return nullptr;
  return host_->queue(static_cast<uint32_t>(index));
}

// startDriven(): makes the queue behind the last one, which this thread drives itself; { errno,
// syscall, detail }.
Napi::Value EngineWrap::StartDriven(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!MayPost(env)) return env.Undefined();
  if (pool_ == nullptr || host_->driven() != nullptr) {
    Napi::Error::New(env, "startDriven() once, on a started engine").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  if (ring_copies_ != nullptr) {  // which are of the other queues only
    return FailureToJs(env, Status::Error(ENOTSUP, "napi_create_external_arraybuffer"));
  }
  return FailureToJs(env, host_->StartDriven());
}

namespace {

// The rings' own memory.
napi_status RingBlocks(napi_env env, const Queue& queue, napi_value* submissions,
                       napi_value* completions) {
  const auto& ops = queue.submission_block();
  const auto& results = queue.completion_block();
  const size_t capacity = queue.capacity();
  const napi_status status =
      MakeExternalBuffer(env, ops.get(), capacity * sizeof(OpSlot), ops, submissions);
  if (status != napi_ok) return status;
  return MakeExternalBuffer(env, results.get(), capacity * sizeof(CompletionSlot), results,
                            completions);
}

}  // namespace

// queueBlocks(queue): { submissions, completions }, the rings' slots as ArrayBuffers, or copies of
// them.
Napi::Value EngineWrap::QueueBlocks(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Alive(env)) return env.Undefined();
  const Queue* const found = ReadQueue(info[0]);
  if (found == nullptr) return env.Undefined();
  napi_value submissions = nullptr;
  napi_value completions = nullptr;
  const napi_status status = ring_copies_ != nullptr
                                 ? ring_copies_->Blocks(found->index(), &submissions, &completions)
                                 : RingBlocks(env, *found, &submissions, &completions);
  if (status != napi_ok) {
    Napi::Error::New(env, "no memory for an ArrayBuffer").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Object blocks = Napi::Object::New(env);
  blocks.Set("submissions", submissions);
  blocks.Set("completions", completions);
  return blocks;
}

// kick(queue, count): false if the queue would not take them.
napi_value EngineWrap::Kick(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<2>(env, info);
  EngineWrap* self = call.self;
  if (self == nullptr || self->host_ == nullptr) return Truth(env, false);
  const uint32_t queue = ReadIndex(env, call.arguments[0]);
  const uint32_t count = ReadIndex(env, call.arguments[1]);
  if (self->ring_copies_ != nullptr && !self->ring_copies_->CopyIn(queue, count)) {
    return Truth(env, false);
  }
  return Truth(env, self->host_->Kick(queue, count));
}

// drive(count): kicks and turns the driven queue; see EngineHost::Drive().
napi_value EngineWrap::Drive(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<1>(env, info);
  const bool ready = call.self != nullptr && call.self->host_ != nullptr;
  const uint32_t count = ReadIndex(env, call.arguments[0]);
  return Truth(env, ready && call.self->host_->Drive(count));
}

// queueStats(queue, out: Float64Array): fills `out` as stats_layout.h says.
Napi::Value EngineWrap::QueueStats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Alive(env)) return env.Undefined();
  const Queue* const queue = ReadQueue(info[0]);
  if (queue == nullptr) return env.Undefined();
  if (!info[1].IsTypedArray() ||
      info[1].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array ||
      info[1].As<Napi::TypedArray>().ElementLength() < kQueueStatsNumbers) {
    Napi::TypeError::New(env, "out must be a Float64Array that is long enough")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  WriteQueueStats(*queue, info[1].As<Napi::Float64Array>().Data());
  return env.Undefined();
}

}  // namespace ringbolt
