// The methods of EngineWrap that have the control thread work on files.

#include <memory>
#include <utility>

#include "io/file_space.h"
#include "io/open_file.h"
#include "node/convert.h"
#include "node/engine_wrap.h"
#include "node/read_options.h"

namespace ringbolt {

// Resolves to { slot, generation, size, ... } or to { errno, syscall, detail }. The slot is usable
// in a queue once kInstallFile has completed there.
Napi::Value EngineWrap::OpenFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  OpenRequest request;
  if (!MayPost(env)) return env.Undefined();
  if (!info[0].IsObject() || pool_ == nullptr) {
    Napi::TypeError::New(env, "openFile(request) on a started engine").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  if (!ReadOpenRequest(info[0].As<Napi::Object>(), &request)) return env.Undefined();

  struct Outcome {
    Status status;
    ringbolt::OpenedFile file;
    FileHandle handle;
  };
  auto outcome = std::make_shared<Outcome>();
  const auto deferred = Napi::Promise::Deferred::New(env);
  host_->Post(
      [files = host_->engine()->files(), request, outcome] {
        // Before anything happens to the file. Nobody else takes slots: this is the control thread.
        outcome->status = files->CheckRoom();
        if (outcome->status.ok()) outcome->status = ringbolt::OpenFile(request, &outcome->file);
        if (!outcome->status.ok()) return;
        outcome->status = files->Add(std::move(outcome->file.fd),
                                     {.alignment = outcome->file.alignment,
                                      .direct = outcome->file.direct,
                                      .in_memory = outcome->file.in_memory},
                                     &outcome->handle);
      },
      [env, deferred, outcome] {
        if (!outcome->status.ok()) return deferred.Resolve(FailureToJs(env, outcome->status));
        Napi::Object file = Napi::Object::New(env);
        file.Set("slot", outcome->handle.slot);
        file.Set("generation", outcome->handle.generation);
        file.Set("size", static_cast<double>(outcome->file.size));
        file.Set("alignment", outcome->file.alignment);
        file.Set("direct", outcome->file.direct);
        file.Set("inMemory", outcome->file.in_memory);
        file.Set("remarks", outcome->file.remarks);
        deferred.Resolve(file);
      });
  return deferred.Promise();
}

// closeFile(slot, generation): resolves to { errno, syscall, detail }, errno 0 if all went well.
Napi::Value EngineWrap::CloseFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!MayPost(env)) return env.Undefined();
  FileHandle handle;
  if (!ReadIdentity(info, "slot", &handle.slot, &handle.generation) || pool_ == nullptr) {
    return env.Undefined();
  }
  auto status = std::make_shared<Status>();
  const auto deferred = Napi::Promise::Deferred::New(env);
  host_->Post(
      [files = host_->engine()->files(), handle, status] { *status = files->Close(handle); },
      [env, deferred, status] { deferred.Resolve(FailureToJs(env, *status)); });
  return deferred.Promise();
}

// changeSpace(slot, generation, change, offset, length): resolves to { errno, syscall, detail },
// errno 0 if all went well.
Napi::Value EngineWrap::ChangeSpace(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!MayPost(env)) return env.Undefined();
  FileHandle handle;
  double change = 0;
  double offset = 0;
  double length = 0;
  if (!ReadIdentity(info, "slot", &handle.slot, &handle.generation) ||
      !ReadInteger(info[2], "change", 0, 1, &change) ||
      !ReadInteger(info[3], "offset", 0, kMaxSafeInteger, &offset) ||
      !ReadInteger(info[4], "length", 1, kMaxSafeInteger, &length) || pool_ == nullptr) {
    return env.Undefined();
  }
  auto status = std::make_shared<Status>();
  const auto deferred = Napi::Promise::Deferred::New(env);
  host_->Post(
      [files = host_->engine()->files(), handle, status, how = static_cast<SpaceChange>(change),
       from = static_cast<uint64_t>(offset), bytes = static_cast<uint64_t>(length)] {
        int fd = -1;
        *status = files->Descriptor(handle, &fd);
        if (status->ok()) *status = ringbolt::ChangeSpace(fd, how, from, bytes);
      },
      [env, deferred, status] { deferred.Resolve(FailureToJs(env, *status)); });
  return deferred.Promise();
}

}  // namespace ringbolt
