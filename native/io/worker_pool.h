// Threads that run operations by blocking system calls, for one backend's thread.
//
//   backend's thread                        workers
//     Submit ──▶ waiting operations ──▶ take one, run it, put its result ──▶ results ──▶ Reap
//
// Both lists lie under one mutex, which is held for a few instructions: the backend's thread takes
// it once for a batch, a busy worker once for an operation (it leaves a result and takes the next
// operation in one go). Whoever has to be woken is woken after it was let go.
//
// Threads are made when operations wait and nobody is idle, up to a bound, and end when they were
// idle for long; the last one stays, so that operations never wait for a thread that cannot be
// made. The longest idle sleep on: of few operations the same few workers do all.
//
// Everything is allocated when the pool starts. Only the backend's thread may call.

#ifndef RINGBOLT_IO_WORKER_POOL_H_
#define RINGBOLT_IO_WORKER_POOL_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/bounded_queue.h"
#include "base/status.h"
#include "base/thread.h"
#include "io/backend.h"
#include "io/run_operation.h"
#include "io/wake_event.h"

namespace ringbolt {

struct WorkerPoolOptions {
  uint32_t max_in_flight = 0;  // operations submitted and not yet reaped, at most
  // A thread more is worth its stack as long as the device has room for one operation more; beyond
  // what keeps the device busy, threads only take turns. With 64, 128 random reads at once came to
  // 1.8 times those of node:fs on 128 threads (`ringbolt bench`, two CPUs, a virtio disk).
  uint32_t max_threads = 64;
  uint64_t idle_ns = 10'000'000'000;  // after which a worker ends
  int32_t (*run)(const BackendOp&) = RunOperation;
};

class WorkerPool {
 public:
  // `event` is signalled when there are results and PrepareToSleep() has returned true.
  WorkerPool(const WorkerPoolOptions& options, WakeEvent* event);
  // Forgets what no worker has begun, and waits for what one has.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Makes the first worker.
  Status Start();

  // Requires room: no more than max_in_flight in all.
  void Submit(std::span<const BackendOp> ops);

  size_t Reap(std::span<BackendResult> results);

  // An operation that no worker has begun ends with -ECANCELED; any other goes on. False if there
  // is none of that id waiting.
  bool Cancel(uint64_t id);

  // True if there is nothing to reap; then the next result signals the event.
  bool PrepareToSleep();

  [[nodiscard]] uint32_t threads();

 private:
  enum class State : uint8_t { kNone, kRunning, kEnded };  // kEnded: to be joined
  struct Worker {
    Thread thread;
    std::condition_variable wake;
    State state = State::kNone;
    bool chosen = false;  // was taken from the idle ones
  };

  void Work(Worker* self);
  bool StandIdle(Worker* self, std::unique_lock<std::mutex>* lock);
  void Grow();
  Worker* ClaimWorker();

  const WorkerPoolOptions options_;
  WakeEvent* const event_;
  std::vector<Worker*> to_wake_;  // backend's thread
  uint64_t grow_after_ns_ = 0;    // backend's thread

  std::mutex mutex_;  // of everything below
  BoundedQueue<BackendOp> waiting_;
  BoundedQueue<BackendResult> results_;
  std::unique_ptr<Worker[]> workers_;
  std::vector<Worker*> idle_;  // the last one went idle last
  uint32_t running_ = 0;       // workers
  uint32_t coming_ = 0;        // woken or made, and not yet looking for work
  bool notify_ = false;
  bool stopping_ = false;
};

}  // namespace ringbolt

#endif  // RINGBOLT_IO_WORKER_POOL_H_
