#include "node/probe.h"

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "checksum/dispatch.h"
#include "engine/machine_probe.h"
#include "io/open_file.h"
#include "node/convert.h"

namespace ringbolt {

namespace {

template <typename Kernel>
Napi::Array KernelsToJs(Napi::Env env, std::span<const KernelInfo<Kernel>> kernels) {
  Napi::Array array = Napi::Array::New(env, kernels.size());
  for (uint32_t i = 0; i < kernels.size(); ++i) {
    Napi::Object kernel = Napi::Object::New(env);
    kernel.Set("name", kernels[i].name);
    kernel.Set("whyNot", kernels[i].why_not == nullptr ? "" : kernels[i].why_not);
    array.Set(i, kernel);
  }
  return array;
}

Napi::Object SimdToJs(Napi::Env env) {
  Napi::Object simd = Napi::Object::New(env);
  const KernelInfo<Xxh3Kernel>* xxh3 = ChosenXxh3Kernel();
  simd.Set("crc", ChosenCrcKernel().name);
  simd.Set("crcKernels", KernelsToJs(env, CrcKernels()));
  simd.Set("xxh3", xxh3 == nullptr ? "" : xxh3->name);
  simd.Set("note", SimdNote() == nullptr ? "" : SimdNote());
  return simd;
}

// Runs on a thread of libuv's pool, as opening a file with node:fs would, and is waited for when
// the environment ends.
class Prober final : public Napi::AsyncWorker {
 public:
  Prober(Napi::Env env, std::optional<std::string> path)
      : AsyncWorker(env, "ringbolt.probe"),
        deferred_(Napi::Promise::Deferred::New(env)),
        path_(std::move(path)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    status_ = ProbeMachine(&machine_);
    if (!path_.has_value()) return;
    OpenRequest request;
    request.path = *path_;
    request.access = Access::kRead;
    request.direct = Direct::kAuto;
    file_status_ = OpenFile(request, &file_);
    file_.fd.reset();
  }

  void OnOK() override {
    const Napi::Env env = Env();
    const Napi::HandleScope handles(env);
    deferred_.Resolve(status_.ok() ? ResultToJs(env) : FailureToJs(env, status_));
  }

 private:
  [[nodiscard]] Napi::Object ResultToJs(Napi::Env env) const {
    Napi::Object result = Napi::Object::New(env);
    result.Set("uring", FailureToJs(env, machine_.uring));
    result.Set("uringFeatures", FeaturesToJs(env, machine_.uring_features));
    result.Set("aio", FailureToJs(env, machine_.aio));
    result.Set("affinity", FailureToJs(env, machine_.affinity));
    result.Set("cpus", NumbersToJs(env, machine_.cpus));
    result.Set("cpusBound", NumbersToJs(env, machine_.cpus_bound));
    result.Set("ioPriority", FailureToJs(env, machine_.io_priority));
    result.Set("simd", SimdToJs(env));
    if (path_.has_value()) result.Set("file", FileToJs(env));
    return result;
  }

  [[nodiscard]] Napi::Object FileToJs(Napi::Env env) const {
    Napi::Object file = FailureToJs(env, file_status_);
    file.Set("direct", file_.direct);
    file.Set("alignment", file_.alignment);
    file.Set("remarks", file_.remarks);
    return file;
  }

  Napi::Promise::Deferred deferred_;
  std::optional<std::string> path_;
  MachineProbe machine_;
  Status status_;
  OpenedFile file_;
  Status file_status_;
};

Napi::Value Probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::optional<std::string> path;
  if (!info[0].IsUndefined()) {
    if (!info[0].IsString()) {
      Napi::TypeError::New(env, "path must be a string").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    path = info[0].As<Napi::String>().Utf8Value();
    if (path->find('\0') != std::string::npos) {
      Napi::TypeError::New(env, "path must have no null bytes").ThrowAsJavaScriptException();
      return env.Undefined();
    }
  }
  auto* prober = new Prober(env, std::move(path));
  const Napi::Promise promise = prober->promise();
  prober->Queue();  // it deletes itself
  return promise;
}

}  // namespace

Napi::Function DefineProbe(Napi::Env env) { return Napi::Function::New(env, Probe, "probe"); }

}  // namespace ringbolt
