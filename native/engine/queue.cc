#include "engine/queue.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "engine/slot_reader.h"
#include "io/run_operation.h"
#include "topology/affinity.h"

namespace ringbolt {

namespace {

constexpr uint32_t kReapBatch = 256;

// A file in memory is read and written by copying, which io_uring hands to a kernel worker where
// the file system cannot promise not to sleep (tmpfs cannot: it may have swapped). Up to this size
// the copy takes less time than the way there and back, so the queue's own thread makes it.
constexpr uint32_t kMaxCopyBytes = 32 * 1024;

// Copies after which JavaScript is told what has come of them so far, so that it can work
// meanwhile.
constexpr uint32_t kCopyBatch = 32;

// Hashed at a time, some 20 to 40 us: so long may a completion or a new operation wait for it.
constexpr uint32_t kHashBytes = 512 * 1024;

bool WantsChecksums(const OpSlot& slot) {
  const auto kind = static_cast<SlotKind>(slot.kind);
  if (kind == SlotKind::kChecksum) return true;
  if (kind != SlotKind::kRead && kind != SlotKind::kWrite) return false;
  return ((slot.flags >> kFlagAlgorithmShift) & kFlagAlgorithmMask) != 0;
}

}  // namespace

Queue::Queue(const QueueOptions& options, std::shared_ptr<BufferPool> pool,
             std::shared_ptr<FileTable> files, CompletionListener* listener)
    : options_(options),
      pool_(std::move(pool)),
      listener_(listener),
      submissions_(NextPowerOfTwo(options.depth + kControlSlots)),
      completions_(NextPowerOfTwo(options.depth + kControlSlots)),
      checksum_areas_(capacity()),
      queue_files_(std::move(files)),
      checksum_work_(capacity()) {
  RB_CHECK(options.depth >= 1 && options.depth <= kMaxDepth);
  RB_CHECK(options.backend_factory != nullptr);
  pending_.resize(capacity());
  for (uint32_t index = capacity(); index > 0; --index) free_pending_.push_back(index - 1);
  to_hand_over_.reserve(capacity());
  to_copy_.reserve(capacity());
}

Queue::~Queue() = default;

// --- Start and end ---

Status Queue::Start(const std::shared_ptr<Queue>& queue) {
  // The thread owns the queue too: an orphan keeps all that it may still touch.
  Status status = queue->thread_.Start("ringbolt-q" + std::to_string(queue->options_.index),
                                       [queue] { queue->Run(); });
  if (!status.ok()) return status;
  std::unique_lock lock(queue->mutex_);
  queue->changed_.wait(lock, [&] { return queue->started_; });
  status = queue->start_status_;
  lock.unlock();
  if (!status.ok()) (void)queue->End(kNoDeadline);
  return status;
}

void Queue::RequestStop(StopMode mode) {
  const std::lock_guard lock(mutex_);
  if (exited_ || !started_ || stop_.load() >= mode) return;
  stop_.store(mode);
  backend_->Wake();  // the thread destroys its backend only under this mutex
}

bool Queue::WaitExited(uint64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  const auto exited = [&] { return exited_; };
  if (deadline_ns == kNoDeadline) {
    changed_.wait(lock, exited);
    return true;
  }
  const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(deadline_ns)};
  return changed_.wait_until(lock, deadline, exited);
}

bool Queue::End(uint64_t deadline_ns) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return !orphaned_;
  }
  const bool exited = WaitExited(deadline_ns);
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return !orphaned_;
    ended_ = true;
    orphaned_ = !exited;
  }
  if (exited) {
    thread_.Join();
    return true;
  }
  abandoned_.store(true);
  while (notifying_.load()) sched_yield();  // it saw the flag too late; its one call is short
  thread_.Detach();
  return false;
}

// --- JavaScript thread ---

bool Queue::Kick(uint32_t count) {
  if (count > capacity() - outstanding_) return false;
  outstanding_ += count;
  submissions_.Publish(count);
  if (sleeping_.load() && sleeping_.exchange(false)) backend_->Wake();
  return true;
}

void Queue::Consumed(uint32_t count) {
  RB_CHECK(count <= outstanding_);
  outstanding_ -= count;
  completions_.Release(count);
}

bool Queue::Arm() {
  armed_.store(true);
  if (completions_.Available() == 0) return true;
  armed_.store(false);
  return false;
}

// --- Queue thread ---

void Queue::Run() {
  SetUp();
  if (!start_status_.ok()) return;
  while (!Finished()) Turn(/*may_sleep=*/true);
  TearDown();
}

void Queue::Turn(bool may_sleep) {
  TakeSubmissions();
  HashSome();
  HandOver();
  CopyNow();
  const bool block = may_sleep && PrepareToSleep();
  counters_.waits.Add(1);
  const Status status = backend_->Wait(block);
  if (block && !sleeping_.exchange(false)) counters_.wake_ups.Add(1);
  RB_CHECK(status.ok());
  ReapAll();
  HashSome();
  PublishCompletions();
}

void Queue::SetUp() {
  Status status;
  if (!options_.cpus.empty()) bind_status_ = BindThread(options_.cpus);
  cpus_got_ = CurrentCpus();
  std::unique_ptr<Backend> backend;
  status = options_.backend_factory({.kind = options_.backend_kind,
                                     .max_in_flight = capacity(),
                                     .max_files = queue_files_.capacity(),
                                     .polled = options_.driven,
                                     .faults = options_.faults,
                                     .without = options_.without_features},
                                    &backend);
  const std::lock_guard lock(mutex_);
  if (status.ok()) {
    backend_name_ = backend->name();
    features_ = backend->features();
    passed_over_ = backend->passed_over();
    backend_ = std::move(backend);
  } else {
    exited_ = true;
  }
  start_status_ = std::move(status);
  started_ = true;
  changed_.notify_all();
}

bool Queue::Finished() const {
  switch (stop_.load()) {
    case StopMode::kRun:
      return false;
    case StopMode::kDrain:
      return in_flight_ == 0 && submissions_.Available() == 0;
    case StopMode::kCancel:
      return in_flight_ == 0;
  }
  return false;
}

void Queue::TakeSubmissions() {
  if (stop_.load() == StopMode::kCancel) {
    submissions_.Release(submissions_.Available());  // nobody waits for them any more
    if (!cancelled_) CancelAll();
    return;
  }
  const uint32_t count = submissions_.Available();
  if (count == 0) return;
  counters_.submission_batches.Add(1);
  counters_.submission_batch_max.RaiseTo(count);
  const uint64_t now_ns = NowNs();
  for (uint32_t i = 0; i < count; ++i) Accept(CopySlot(submissions_.Published(i)), now_ns);
  submissions_.Release(count);
}

void Queue::Accept(const OpSlot& slot, uint64_t now_ns) {
  RB_CHECK(!free_pending_.empty());  // Kick() admits no more than there are
  const uint32_t index = free_pending_.back();
  const auto kind = static_cast<SlotKind>(slot.kind);
  BackendOp op;
  FileTraits traits;
  int error = 0;
  switch (kind) {
    case SlotKind::kNop:
      break;
    case SlotKind::kRead:
    case SlotKind::kWrite:
    case SlotKind::kDataSync:
      error = ReadTransfer(slot, queue_files_, *pool_, &op, &traits);
      break;
    case SlotKind::kChecksum:
      error = ReadMemory(slot, *pool_, &op);
      break;
    case SlotKind::kInstallFile:
      return Complete(slot.token,
                      -queue_files_.Install({slot.file, slot.file_generation}, backend_.get()), 0);
    case SlotKind::kRemoveFile:
      return Complete(slot.token,
                      -queue_files_.Remove({slot.file, slot.file_generation}, backend_.get()), 0);
    case SlotKind::kCancel:
      Cancel(slot.file);
      return Complete(slot.token, 0, 0);
    default:
      error = EINVAL;
  }
  if (slot.io_class >= kIoClasses) error = EINVAL;
  const bool checksums = WantsChecksums(slot);
  if (error == 0 && checksums) {
    error = checksum_work_.job(index).Read(slot, checksum_areas_, op.data, op.length);
  }
  if (error != 0) {
    counters_.rejected.Add(1);
    return Complete(slot.token, -error, 0);
  }

  free_pending_.pop_back();
  PendingOp& pending = pending_[index];
  pending.generation = (pending.generation + 1) & INT32_MAX;
  pending.in_use = true;
  pending.cancelled = false;
  pending.token = slot.token;
  pending.done = 0;
  pending.retries = 0;
  pending.io_class = static_cast<IoClass>(slot.io_class);
  pending.handed_ns = now_ns;
  // A time in the future, or none, is a caller's mistake and costs nothing but a statistic.
  const bool timed = slot.submitted_ns > 0 && slot.submitted_ns <= static_cast<double>(now_ns);
  pending.submitted_ns = timed ? static_cast<uint64_t>(slot.submitted_ns) : now_ns;
  pending.op = op;
  pending.op.id = (uint64_t{pending.generation} << 32) | index;
  const bool transfers = op.kind == OpKind::kRead || op.kind == OpKind::kWrite;
  pending.by_copying = traits.in_memory && transfers && op.length <= kMaxCopyBytes;
  pending.checksums = checksums;
  pending.hash_only = kind == SlotKind::kChecksum;
  pending.transferred = false;
  pending.hashing = checksums && op.kind != OpKind::kRead;
  ++in_flight_;
  if (op.kind != OpKind::kNop) queue_files_.Begin(op.file_slot);
  if (pending.hashing) return checksum_work_.Add(index);
  Dispatch(&pending);
}

void Queue::Dispatch(PendingOp* pending) {
  (pending->by_copying ? to_copy_ : to_hand_over_).push_back(pending->op);
}

// A piece of the hashing that there is to do. A job that is not done goes behind the others, so
// that none waits for the whole of a long one.
void Queue::HashSome() {
  if (checksum_work_.empty()) return;
  PublishCompletions();  // they have waited for nothing so far
  uint64_t begun_ns = NowNs();
  for (uint32_t left = kHashBytes; left > 0 && !checksum_work_.empty();) {
    const uint32_t index = checksum_work_.first();
    ChecksumJob& job = checksum_work_.job(index);
    checksum_work_.RemoveFirst();
    const uint32_t hashed = cancelled_ ? 0 : job.Step(left);
    left -= std::min(hashed, left);
    const uint64_t now_ns = NowNs();
    ClassCounters& counters = CountersOf(pending_[index]);
    counters.checksum_bytes.Add(hashed);
    counters.checksum_ns.Add(now_ns - begun_ns);
    begun_ns = now_ns;
    if (cancelled_ || job.done()) {
      counters.checksum_mismatches.Add(job.mismatches());
      Hashed(index, now_ns);
    } else {
      checksum_work_.Add(index);
    }
  }
}

// Checksums are there: a read, mere hashing or a write that was looked at again is over; a write
// may begin if its data is right.
void Queue::Hashed(uint32_t index, uint64_t now_ns) {
  PendingOp& pending = pending_[index];
  pending.hashing = false;
  if (pending.transferred) {
    const bool changed =
        pending.op.kind == OpKind::kWrite && checksum_work_.job(index).mismatches() > 0;
    return Settle(index, changed ? -EBADMSG : pending.done, pending.ended_ns);
  }
  pending.handed_ns = now_ns;
  if (cancelled_ || pending.cancelled) return Settle(index, -ECANCELED, now_ns);
  if (pending.hash_only) return Settle(index, pending.done = pending.op.length, now_ns);
  if (checksum_work_.job(index).mismatches() > 0) return Settle(index, -EBADMSG, now_ns);
  Dispatch(&pending);
}

void Queue::HandOver() {
  if (to_hand_over_.empty()) return;
  const size_t accepted = backend_->Submit(to_hand_over_);
  RB_CHECK(accepted == to_hand_over_.size());  // the backend was made for capacity() operations
  to_hand_over_.clear();
  in_flight_gauge_.store(in_flight_, std::memory_order_relaxed);
  counters_.depth_max.RaiseTo(in_flight_);
}

// A short or interrupted copy goes on through the backend, as all others do.
void Queue::CopyNow() {
  if (to_copy_.empty()) return;
  counters_.depth_max.RaiseTo(in_flight_);
  for (size_t done = 0; done < to_copy_.size();) {
    const size_t end = std::min(done + kCopyBatch, to_copy_.size());
    std::array<BackendResult, kCopyBatch> results;
    for (size_t i = done; i < end; ++i) {
      results[i - done] = {to_copy_[i].id, RunOperation(to_copy_[i])};
    }
    const uint64_t now_ns = NowNs();
    for (size_t i = done; i < end; ++i) Finish(results[i - done], now_ns);
    HashSome();  // while the caches hold it
    PublishCompletions();
    done = end;
  }
  to_copy_.clear();
  HandOver();
}

// True if there is nothing to do but wait. From here until the flag is taken back, a Kick() or a
// stop wakes the thread; whatever came before is seen by the second look, as both sides store first
// and load second (seq_cst).
bool Queue::PrepareToSleep() {
  if (staged_ != 0 || !checksum_work_.empty()) return false;
  sleeping_.store(true);
  const StopMode stop = stop_.load();
  const bool stop_news = (stop == StopMode::kCancel && !cancelled_) || Finished();
  if (submissions_.Available() == 0 && !stop_news) return true;
  sleeping_.store(false);
  return false;
}

void Queue::ReapAll() {
  std::array<BackendResult, kReapBatch> results;
  size_t count = 0;
  do {
    count = backend_->Reap(results);
    if (count == 0) break;
    const uint64_t now_ns = NowNs();
    for (size_t i = 0; i < count; ++i) Finish(results[i], now_ns);
  } while (count == results.size());
  HandOver();  // retries and continuations
  in_flight_gauge_.store(in_flight_, std::memory_order_relaxed);
}

void Queue::Finish(const BackendResult& result, uint64_t now_ns) {
  const auto index = static_cast<uint32_t>(result.id);
  RB_CHECK(index < pending_.size());
  PendingOp& pending = pending_[index];
  RB_CHECK(pending.in_use && pending.op.id == result.id);  // exactly one result for each operation

  const int64_t outcome = Judge(&pending, result.result, cancelled_, &counters_);
  if (outcome == kAgain) {
    to_hand_over_.push_back(pending.op);
    return;
  }
  if (pending.checksums && outcome > 0 && !cancelled_ && HashAfterwards(&pending, index)) {
    pending.transferred = true;
    pending.ended_ns = now_ns;
    return checksum_work_.Add(index);
  }
  Settle(index, outcome, now_ns);
}

// What was read; and what was written, if it is to be seen whether it changed meanwhile.
bool Queue::HashAfterwards(PendingOp* pending, uint32_t index) {
  ChecksumJob& job = checksum_work_.job(index);
  if (pending->op.kind == OpKind::kRead) {
    job.Shorten(pending->done);
  } else if (job.rechecks()) {
    job.Repeat();
  } else {
    return false;
  }
  pending->hashing = true;
  return true;
}

void Queue::Settle(uint32_t index, int64_t outcome, uint64_t now_ns) {
  PendingOp& pending = pending_[index];
  CountOutcome(pending, outcome, now_ns, &CountersOf(pending));
  if (pending.op.kind != OpKind::kNop) queue_files_.End(pending.op.file_slot);
  --in_flight_;
  pending.in_use = false;
  free_pending_.push_back(index);
  Complete(pending.token, static_cast<int32_t>(outcome), pending.done);
}

// Tokens are whatever JavaScript says; none, one or several operations may have this one. Looking
// through all costs more than a table would, and is rare.
void Queue::Cancel(uint32_t token) {
  HandOver();  // what came before it in this batch
  for (PendingOp& pending : pending_) {
    if (!pending.in_use || pending.token != token || pending.cancelled) continue;
    pending.cancelled = true;
    if (!pending.hashing) backend_->Cancel(pending.op.id);
  }
}

void Queue::CancelAll() {
  cancelled_ = true;
  for (const PendingOp& pending : pending_) {
    if (!pending.in_use || pending.cancelled || pending.hashing) continue;
    backend_->Cancel(pending.op.id);
  }
}

void Queue::Complete(uint32_t token, int32_t result, uint32_t bytes_done) {
  if (cancelled_) return;  // JavaScript is gone, and its unread completions fill the ring
  RB_CHECK(staged_ < completions_.Free());
  completions_.Unpublished(staged_++) = {token, result, bytes_done, 0};
}

void Queue::PublishCompletions() {
  if (staged_ == 0) return;
  completions_.Publish(staged_);
  counters_.completion_batches.Add(1);
  counters_.completion_batch_max.RaiseTo(staged_);
  staged_ = 0;
  if (!armed_.load() || !armed_.exchange(false)) return;
  counters_.notifications.Add(1);
  // Against End(): either it sees that we are notifying, or we see that nobody is there.
  notifying_.store(true);
  if (!abandoned_.load()) listener_->OnReady();
  notifying_.store(false);
}

void Queue::TearDown() {
  queue_files_.UninstallAll();
  const std::lock_guard lock(mutex_);
  backend_.reset();
  exited_ = true;
  changed_.notify_all();
}

}  // namespace ringbolt
