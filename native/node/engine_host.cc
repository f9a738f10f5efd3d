#include "node/engine_host.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace ringbolt {

EngineHost::EngineHost(napi_env env, EngineOptions options, Owner* owner)
    : env_(env),
      owner_(owner),
      engine_(std::make_shared<Engine>(std::move(options), this)),
      control_(this) {}

EngineHost::~EngineHost() = default;

EngineHost* EngineHost::Create(napi_env env, EngineOptions options, Owner* owner) {
  auto* host = new EngineHost(env, std::move(options), owner);
  if (host->Initialize()) return host;
  host->owner_ = nullptr;
  host->Dispose(kCleanUpNs);
  return nullptr;
}

bool EngineHost::Initialize() {
  const Napi::Env env(env_);
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok ||
      uv_async_init(loop, &async_, [](uv_async_t* handle) {
        (void)static_cast<EngineHost*>(handle->data)->OnAsync();
      }) != 0) {
    Napi::Error::New(env, "no event loop").ThrowAsJavaScriptException();
    return false;
  }
  ++open_handles_;
  async_.data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(&async_));

  const Napi::String name = Napi::String::New(env, "ringbolt");
  if (napi_async_init(env_, nullptr, name, &async_context_) != napi_ok ||
      napi_add_async_cleanup_hook(env_, CleanUp, this, &hook_) != napi_ok) {
    Napi::Error::New(env, "the environment is shutting down").ThrowAsJavaScriptException();
    return false;
  }
  const Status status = control_.Start();
  if (!status.ok()) {
    Napi::Error::New(env, "pthread_create failed").ThrowAsJavaScriptException();
    return false;
  }
  return true;
}

void EngineHost::CleanUp(napi_async_cleanup_hook_handle /*hook*/, void* host) {
  // A second call of Dispose() does nothing: then its close callback is on the way and removes the
  // hook.
  static_cast<EngineHost*>(host)->Dispose(kCleanUpNs);
}

void EngineHost::Dispose(uint64_t wait_ns) {
  if (disposed_) return;
  disposed_ = true;
  sealed_ = true;
  if (owner_ != nullptr) {
    if (std::exchange(busy_, false)) owner_->SetBusy(false);
    owner_->HostGone();
    owner_ = nullptr;
  }

  const uint64_t deadline_ns = NowNs() + wait_ns;
  (void)control_.Stop(deadline_ns);
  (void)engine_->Stop(StopMode::kCancel, deadline_ns);
  if (driven_ != nullptr) {
    uv_poll_stop(&poll_);
    Queue::EndDriven(std::exchange(driven_, nullptr), deadline_ns);
  }

  if (!in_callback_) CloseHandle();
}

void EngineHost::CloseHandle() {
  if (async_context_ != nullptr) napi_async_destroy(env_, async_context_);
  if (open_handles_ == 0) {
    delete this;
    return;
  }
  const auto closed = [](uv_handle_t* handle) {
    auto* host = static_cast<EngineHost*>(handle->data);
    if (--host->open_handles_ > 0) return;
    if (host->hook_ != nullptr) napi_remove_async_cleanup_hook(host->hook_);
    delete host;
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&async_), closed);
  if (poll_.data != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), closed);
}

void EngineHost::OnReady() { uv_async_send(&async_); }

void EngineHost::Post(std::function<void()> run, std::function<void()> done) {
  ++control_pending_;
  control_.Post({std::move(run), std::move(done)});
  UpdateBusy();
}

bool EngineHost::Kick(uint32_t queue, uint32_t count) {
  if (sealed_ || queue >= engine_->queues().size()) return false;  // the driven one has Drive()
  const bool kicked = engine_->queues()[queue]->Kick(count);
  if (kicked && !busy_) UpdateBusy();
  return kicked;
}

Queue* EngineHost::queue(uint32_t index) const {
  const auto& queues = engine_->queues();
  if (index < queues.size()) return queues[index].get();
  return index == queues.size() ? driven_.get() : nullptr;
}

Status EngineHost::StartDriven() {
  auto queue = engine_->MakeDrivenQueue();
  Status status = queue->StartDriven();
  if (!status.ok()) return status;
  const int error = uv_poll_init(async_.loop, &poll_, queue->pollable_fd());
  if (error != 0) {
    Queue::EndDriven(std::move(queue), kNoDeadline);  // it has never been given any work
    return Status::Error(-error, "uv_poll_init");
  }
  ++open_handles_;
  poll_.data = this;
  driven_ = std::move(queue);
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* handle, int /*status*/, int /*events*/) {
    static_cast<EngineHost*>(handle->data)->OnPoll();
  });
  return Status::Ok();
}

bool EngineHost::Drive(uint32_t count) {
  if (sealed_ || driven_ == nullptr || !driven_->Kick(count)) return false;
  driven_->Drive();
  const uint32_t ready = driven_->Ready();
  if (ready > 0) {
    (void)DeliverFrom(static_cast<uint32_t>(engine_->queues().size()), ready);
  }
  if (!disposed_) UpdateBusy();
  return true;
}

// The signal is taken last: by then JavaScript has submitted what comes next, and the call is made
// while the device is at work. It also takes with it the signals of what was delivered here, for
// which the loop would come back in vain.
void EngineHost::OnPoll() {
  if (disposed_) return;
  if (driven_->outstanding() > 0 && !OnAsync()) return;
  if (driven_->TakeSignal()) uv_async_send(&async_);
}

bool EngineHost::OnAsync() {
  if (disposed_) return false;
  const Napi::HandleScope handles(env_);
  napi_callback_scope scope = nullptr;
  napi_value resource = Napi::Object::New(env_);
  if (napi_open_callback_scope(env_, resource, async_context_, &scope) != napi_ok) return true;
  in_callback_ = true;

  control_pending_ -= static_cast<uint32_t>(control_.RunDone());
  DeliverAll();

  // Runs what JavaScript scheduled: ticks and promise reactions. They may submit, and even dispose
  // of us.
  napi_close_callback_scope(env_, scope);
  in_callback_ = false;
  if (disposed_) {
    CloseHandle();
    return false;
  }
  if (RearmAll()) uv_async_send(&async_);
  UpdateBusy();
  return true;
}

void EngineHost::DeliverAll() {
  if (sealed_) return;
  const auto count = static_cast<uint32_t>(engine_->queues().size());
  uint32_t room = kMaxDelivery;
  if (driven_ != nullptr && driven_->outstanding() > 0) {
    driven_->Drive();
    room -= DeliverFrom(count, room);
  }
  for (uint32_t i = 0; i < count && room > 0 && !disposed_; ++i) {
    room -= DeliverFrom((first_queue_ + i) % count, room);
  }
  if (count > 0) first_queue_ = (first_queue_ + 1) % count;
}

uint32_t EngineHost::DeliverFrom(uint32_t index, uint32_t room) {
  Queue* const from = queue(index);
  const uint32_t ready = std::min(from->Ready(), room);
  if (ready == 0) return 0;
  owner_->Deliver(env_, index, ready);
  // Before any promise reaction runs: what those submit needs the room in the ring.
  if (!disposed_) from->Consumed(ready);
  return ready;
}

// True if completions are waiting that nobody will be notified of.
bool EngineHost::RearmAll() {
  if (sealed_) return false;
  bool waiting = false;
  for (const auto& queue : engine_->queues()) waiting |= !queue->Arm();
  return waiting;
}

// The event loop, and the JavaScript object, live on while anything is under way, and not a moment
// longer.
void EngineHost::UpdateBusy() {
  bool busy = control_pending_ > 0;
  if (!sealed_) {
    for (const auto& queue : engine_->queues()) busy |= queue->outstanding() > 0;
    busy |= driven_ != nullptr && driven_->outstanding() > 0;
  }
  if (busy == busy_) return;
  busy_ = busy;
  auto* handle = reinterpret_cast<uv_handle_t*>(&async_);
  busy ? uv_ref(handle) : uv_unref(handle);
  owner_->SetBusy(busy);
}

}  // namespace ringbolt
