// What ties an engine to one Node environment: the handle that wakes the event loop, the control
// thread, and an orderly end in every case.
//
// Lives on the heap and ends itself: Dispose() stops all threads and closes the loop handle, and
// the handle's close callback deletes the host. That is called when the JavaScript object is
// collected, when close() has done its work, or by the environment's clean-up (worker exit, end of
// the process), whichever is first.
//
// The event loop is woken through uv_async_t itself and not through a thread-safe function: that
// one calls back up to a thousand times in a row without letting timers and sockets have their
// turn.
//
// Everything runs on the JavaScript thread, except OnReady().

#ifndef RINGBOLT_NODE_ENGINE_HOST_H_
#define RINGBOLT_NODE_ENGINE_HOST_H_

#include <napi.h>
#include <uv.h>

#include <functional>
#include <memory>

#include "engine/control_thread.h"
#include "engine/engine.h"
#include "engine/queue.h"

namespace ringbolt {

class EngineHost final : public CompletionListener {
 public:
  // The JavaScript side of an engine.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Hands the oldest `count` completions of a queue to JavaScript, in an open handle and callback
    // scope.
    virtual void Deliver(napi_env env, uint32_t queue, uint32_t count) = 0;
    // Work has begun or ended: hold on to the JavaScript object, or let it be collected.
    virtual void SetBusy(bool busy) = 0;
    // The host is going away: do not use it again.
    virtual void HostGone() = 0;
  };

  // nullptr with an exception pending if the loop or the control thread cannot be had.
  static EngineHost* Create(napi_env env, EngineOptions options, Owner* owner);

  // How long the end of an environment waits for devices before it leaves them behind.
  static constexpr uint64_t kCleanUpNs = 2'000'000'000;

  // Waits at most so long for threads; those that have not ended by then end by themselves when
  // they can.
  void Dispose(uint64_t wait_ns);

  // Runs `task` on the control thread, then `done` here, in open handle and callback scopes.
  void Post(std::function<void()> run, std::function<void()> done);

  [[nodiscard]] const std::shared_ptr<Engine>& engine() const { return engine_; }

  // Null if there is no such queue. Those of the engine come first, then the one that this host
  // drives.
  [[nodiscard]] Queue* queue(uint32_t index) const;

  // False if the queue does not exist, was told to end, or would have more outstanding than it
  // holds.
  bool Kick(uint32_t queue, uint32_t count);

  // Makes the queue that this thread drives: it is polled by the event loop itself, which spares
  // the way to another thread and back. Once Start() has succeeded.
  Status StartDriven();
  [[nodiscard]] const Queue* driven() const { return driven_.get(); }

  // Kicks that queue, takes a turn in it, and delivers what is ready before this returns. False for
  // what Kick() refuses.
  bool Drive(uint32_t count);

  // After this, Kick() refuses.
  void Seal() { sealed_ = true; }
  // Queues may be used: Start() has succeeded.
  void Open() { sealed_ = false; }

  void OnReady() override;  // any thread

 private:
  // A callback delivers at most this many completions; the rest comes in the next turn of the event
  // loop.
  static constexpr uint32_t kMaxDelivery = 256;

  EngineHost(napi_env env, EngineOptions options, Owner* owner);
  ~EngineHost() override;

  bool Initialize();
  // False if the host is no more.
  bool OnAsync();
  void OnPoll();
  void DeliverAll();
  uint32_t DeliverFrom(uint32_t index, uint32_t room);
  bool RearmAll();
  void UpdateBusy();
  void CloseHandle();
  static void CleanUp(napi_async_cleanup_hook_handle hook, void* host);

  const napi_env env_;
  Owner* owner_;
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Queue> driven_;
  uv_poll_t poll_{};  // on driven_'s descriptor
  ControlThread control_;
  uv_async_t async_{};
  napi_async_context async_context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  uint32_t control_pending_ = 0;
  uint32_t first_queue_ = 0;  // whose turn it is to be delivered first
  bool sealed_ = true;
  bool busy_ = false;
  bool disposed_ = false;
  bool in_callback_ = false;  // the handle must not be closed under an open callback scope
  uint32_t open_handles_ = 0;
};

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_ENGINE_HOST_H_
