#include "io/worker_pool.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/check.h"
#include "base/clock.h"

namespace ringbolt {

namespace {

// After a thread could not be made, operations wait for those there are; the limit that was in the
// way (RLIMIT_NPROC, a cgroup's pids.max, memory) may be gone some time later.
constexpr uint64_t kGrowPauseNs = 1'000'000'000;

}  // namespace

WorkerPool::WorkerPool(const WorkerPoolOptions& options, WakeEvent* event)
    : options_(options),
      event_(event),
      waiting_(options.max_in_flight),
      results_(options.max_in_flight) {
  RB_CHECK(options.max_in_flight >= 1 && options.max_threads >= 1);
  workers_ = std::make_unique<Worker[]>(options.max_threads);
  idle_.reserve(options.max_threads);
  to_wake_.reserve(options.max_threads);
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.Clear();
  }
  for (uint32_t i = 0; i < options_.max_threads; ++i) {
    workers_[i].wake.notify_all();
    if (workers_[i].thread.running()) workers_[i].thread.Join();
  }
}

Status WorkerPool::Start() {
  Worker* worker = &workers_[0];
  worker->state = State::kRunning;
  running_ = 1;
  coming_ = 1;
  return worker->thread.Start("ringbolt-io", [this, worker] { Work(worker); });
}

void WorkerPool::Submit(std::span<const BackendOp> ops) {
  bool grow = false;
  {
    const std::lock_guard lock(mutex_);
    for (const BackendOp& op : ops) {
      if (op.kind == OpKind::kNop) {
        results_.Push({op.id, 0});
      } else {
        waiting_.Push(op);
      }
    }
    // Each operation that nobody is on the way for yet.
    while (coming_ < waiting_.size() && !idle_.empty()) {
      Worker* worker = idle_.back();
      idle_.pop_back();
      worker->chosen = true;
      ++coming_;
      to_wake_.push_back(worker);
    }
    grow = coming_ < waiting_.size() && running_ < options_.max_threads;
  }
  for (Worker* worker : to_wake_) worker->wake.notify_one();
  to_wake_.clear();
  if (grow) Grow();
}

void WorkerPool::Grow() {
  if (NowNs() < grow_after_ns_) return;
  while (Worker* worker = ClaimWorker()) {
    if (worker->thread.running()) worker->thread.Join();  // it has ended, or is about to
    if (worker->thread.Start("ringbolt-io", [this, worker] { Work(worker); }).ok()) continue;
    grow_after_ns_ = NowNs() + kGrowPauseNs;
    const std::lock_guard lock(mutex_);
    worker->state = State::kNone;
    --running_;
    --coming_;
    return;
  }
}

// A worker to start, if one more is wanted.
WorkerPool::Worker* WorkerPool::ClaimWorker() {
  const std::lock_guard lock(mutex_);
  if (coming_ >= waiting_.size() || running_ == options_.max_threads) return nullptr;
  Worker* worker = workers_.get();
  while (worker->state == State::kRunning) ++worker;
  worker->state = State::kRunning;
  ++running_;
  ++coming_;
  return worker;
}

size_t WorkerPool::Reap(std::span<BackendResult> results) {
  const std::lock_guard lock(mutex_);
  notify_ = false;
  const size_t count = std::min(results.size(), results_.size());
  for (size_t i = 0; i < count; ++i) results[i] = results_.Pop();
  return count;
}

bool WorkerPool::Cancel(uint64_t id) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i].id != id) continue;
    waiting_.Erase(i);
    results_.Push({id, -ECANCELED});
    return true;
  }
  return false;
}

bool WorkerPool::PrepareToSleep() {
  const std::lock_guard lock(mutex_);
  notify_ = results_.empty();
  return notify_;
}

uint32_t WorkerPool::threads() {
  const std::lock_guard lock(mutex_);
  return running_;
}

// --- Workers ---

void WorkerPool::Work(Worker* self) {
  std::unique_lock lock(mutex_);
  --coming_;
  while (!stopping_) {
    if (waiting_.empty()) {
      if (StandIdle(self, &lock)) continue;
      break;
    }
    const BackendOp op = waiting_.Pop();
    lock.unlock();
    const BackendResult result{op.id, options_.run(op)};
    lock.lock();
    results_.Push(result);
    if (!notify_) continue;
    notify_ = false;
    lock.unlock();
    event_->Signal();
    lock.lock();
  }
  self->state = State::kEnded;
  --running_;
}

// False if the worker shall end.
bool WorkerPool::StandIdle(Worker* self, std::unique_lock<std::mutex>* lock) {
  const auto limit = std::chrono::nanoseconds(options_.idle_ns);
  idle_.push_back(self);
  while (!self->chosen && !stopping_) {
    if (self->wake.wait_for(*lock, limit) == std::cv_status::no_timeout) continue;
    if (self->chosen || stopping_ || running_ == 1) continue;
    std::erase(idle_, self);
    return false;
  }
  if (self->chosen) --coming_;
  self->chosen = false;
  return !stopping_;
}

}  // namespace ringbolt
