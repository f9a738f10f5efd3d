// A queue: one native thread with one backend, a ring of submissions and a ring of completions.
//
//   JavaScript thread              queue thread                                   kernel
//     op slots, Kick() ─────────▶  TakeSubmissions: copy, validate ─ (hash) ────▶ Backend
//     Ready(), Consumed() ◀──────  Publish ◀─ (hash) ◀─ Finish: retry, continue ◀─
//
// A queue may also be driven: without a thread of its own, by calls of Drive() from the JavaScript
// thread, which is its "queue thread" then. Nobody is notified and nobody woken, which is what
// takes the time when there is one small operation to wait for; in return nothing that blocks or
// computes may be asked of it.
//
// Who may call what is said by the headings below. The queue is owned through shared_ptr: by the
// engine, and by its own thread, which may outlive the engine when a device never answers (see
// Orphan).
//
// Bounds: JavaScript may have at most capacity() slots outstanding, counted natively in Kick().
// Both rings and the backend have room for that many, so none can overflow.

#ifndef RINGBOLT_ENGINE_QUEUE_H_
#define RINGBOLT_ENGINE_QUEUE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/align.h"
#include "base/spsc_ring.h"
#include "base/status.h"
#include "base/thread.h"
#include "engine/checksum_areas.h"
#include "engine/checksum_work.h"
#include "engine/counters.h"
#include "engine/file_table.h"
#include "engine/op_slot.h"
#include "engine/pending_op.h"
#include "engine/queue_files.h"
#include "io/backend.h"
#include "memory/buffer_pool.h"

namespace ringbolt {

class CompletionListener {
 public:
  virtual ~CompletionListener() = default;
  // Called on a queue thread when completions wait and the JavaScript thread had armed the queue.
  virtual void OnReady() = 0;
};

using BackendFactory = Status (*)(const BackendOptions&, std::unique_ptr<Backend>*);

struct QueueOptions {
  uint32_t index = 0;
  uint32_t depth = 128;   // operations in flight that JavaScript means to have
  std::vector<int> cpus;  // to bind the thread to; empty: wherever the kernel likes
  BackendKind backend_kind = BackendKind::kAuto;
  FaultPlan faults;
  std::vector<std::string> without_features;
  BackendFactory backend_factory = nullptr;
  bool driven = false;
};

// For waits that may take as long as they like.
inline constexpr uint64_t kNoDeadline = UINT64_MAX;

enum class StopMode : uint8_t {
  kRun = 0,
  kDrain = 1,   // finish what was kicked, then end
  kCancel = 2,  // cancel what is in flight, forget what is not, then end
};

class Queue {
 public:
  // Slots beyond `depth` for installing and removing files: as many as may be outstanding at once.
  static constexpr uint32_t kControlSlots = 32;
  static constexpr uint32_t kMaxDepth = 8192;

  Queue(const QueueOptions& options, std::shared_ptr<BufferPool> pool,
        std::shared_ptr<FileTable> files, CompletionListener* listener);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // --- Control thread ---

  // Starts the thread and waits until its backend stands. On failure there is no thread.
  static Status Start(const std::shared_ptr<Queue>& queue);

  // --- JavaScript thread, of a driven queue, in place of the above ---

  // Fails where the backend is none that an event loop can wait for.
  Status StartDriven();

  // An eventfd. When it can be read, Drive() may bring completions.
  [[nodiscard]] int pollable_fd() const { return backend_->PollableFd(); }

  // Reads it. True if Drive() has something to do that it does not signal any more: what came since
  // the last one, or the rest of a read that was short.
  [[nodiscard]] bool TakeSignal();

  // One turn: takes submissions to the kernel and what the kernel has done from there.
  void Drive() { Turn(/*may_sleep=*/false); }

  // Cancels what is in flight and waits for it, at most until `deadline_ns`. After that the queue
  // is left to the process, for as long as that lives, with everything the kernel may still write
  // to.
  static void EndDriven(std::shared_ptr<Queue> queue, uint64_t deadline_ns);

  // --- Control thread ---

  // Any thread. A weaker mode than one that was asked for before changes nothing.
  void RequestStop(StopMode mode);

  // Any thread, several at once. Waits for the thread to end, at most until `deadline_ns`
  // (CLOCK_MONOTONIC); after that it is orphaned: it lives on by itself, with everything it may
  // touch, until its device answers or the process ends, and notifies nobody. False if this call,
  // or another, has orphaned it.
  bool End(uint64_t deadline_ns);

  // --- JavaScript thread ---

  [[nodiscard]] uint32_t index() const { return options_.index; }
  [[nodiscard]] uint32_t capacity() const { return submissions_.capacity(); }
  [[nodiscard]] const std::shared_ptr<OpSlot[]>& submission_block() const {
    return submissions_.block();
  }
  [[nodiscard]] const std::shared_ptr<CompletionSlot[]>& completion_block() const {
    return completions_.block();
  }

  // Publishes the next `count` slots and wakes the thread if it sleeps. False, and nothing happens,
  // if that would be more than capacity() outstanding.
  bool Kick(uint32_t count);

  // Where the checksums of operations wait and are left; see there.
  ChecksumAreas& checksum_areas() { return checksum_areas_; }

  // Slots kicked whose completions were not consumed.
  [[nodiscard]] uint32_t outstanding() const { return outstanding_; }

  [[nodiscard]] uint32_t Ready() const { return completions_.Available(); }
  void Consumed(uint32_t count);

  // Asks for OnReady() at the next completion. False if some are ready already.
  bool Arm();

  // --- Any thread ---

  [[nodiscard]] const QueueCounters& counters() const { return counters_; }
  [[nodiscard]] uint32_t in_flight() const {
    return in_flight_gauge_.load(std::memory_order_relaxed);
  }

  // Fixed once Start() has returned.
  [[nodiscard]] const std::string& backend_name() const { return backend_name_; }
  [[nodiscard]] const std::vector<BackendFeature>& features() const { return features_; }
  [[nodiscard]] const std::vector<PassedOver>& passed_over() const { return passed_over_; }
  [[nodiscard]] const std::vector<int>& cpus_got() const { return cpus_got_; }
  [[nodiscard]] const Status& bind_status() const { return bind_status_; }

 private:
  bool WaitExited(uint64_t deadline_ns);
  void Run();
  void Turn(bool may_sleep);
  void SetUp();
  [[nodiscard]] bool Finished() const;
  void TakeSubmissions();
  void Accept(const OpSlot& slot, uint64_t now_ns);
  void Dispatch(PendingOp* pending);
  void HashSome();
  void Hashed(uint32_t index, uint64_t now_ns);
  void HandOver();
  void CopyNow();
  ClassCounters& CountersOf(const PendingOp& pending) {
    return counters_.classes[static_cast<uint32_t>(pending.io_class)];
  }
  bool PrepareToSleep();
  void ReapAll();
  void Finish(const BackendResult& result, uint64_t now_ns);
  bool HashAfterwards(PendingOp* pending, uint32_t index);
  void Cancel(uint32_t token);
  void Settle(uint32_t index, int64_t outcome, uint64_t now_ns);
  void CancelAll();
  void Complete(uint32_t token, int32_t result, uint32_t bytes_done);
  void PublishCompletions();
  void TearDown();

  // Set before the thread starts, constant afterwards.
  const QueueOptions options_;
  const std::shared_ptr<BufferPool> pool_;
  CompletionListener* const listener_;

  SpscRing<OpSlot> submissions_;
  SpscRing<CompletionSlot> completions_;
  ChecksumAreas checksum_areas_;

  // JavaScript thread.
  alignas(kCacheLineBytes) uint32_t outstanding_ = 0;

  // Both, each on a line of its own.
  alignas(kCacheLineBytes) std::atomic<bool> sleeping_{false};
  alignas(kCacheLineBytes) std::atomic<bool> armed_{true};
  alignas(kCacheLineBytes) std::atomic<bool> notifying_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<StopMode> stop_{StopMode::kRun};

  // Queue thread.
  alignas(kCacheLineBytes) std::unique_ptr<Backend> backend_;
  std::vector<PendingOp> pending_;
  std::vector<uint32_t> free_pending_;
  std::vector<BackendOp> to_hand_over_;
  std::vector<BackendOp> to_copy_;  // on files in memory
  QueueFiles queue_files_;
  ChecksumWork checksum_work_;
  uint32_t in_flight_ = 0;
  uint32_t staged_ = 0;  // completions written and not yet published
  bool cancelled_ = false;

  // Start-up and end.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false;
  bool exited_ = false;
  bool ended_ = false;  // joined or orphaned, by whoever came first
  bool orphaned_ = false;
  Status start_status_;
  Status bind_status_;
  std::string backend_name_;
  std::vector<BackendFeature> features_;
  std::vector<PassedOver> passed_over_;
  std::vector<int> cpus_got_;
  Thread thread_;

  std::atomic<uint32_t> in_flight_gauge_{0};
  QueueCounters counters_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_QUEUE_H_
