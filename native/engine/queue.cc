#include "engine/queue.h"

#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "topology/affinity.h"

namespace ringbolt {

namespace {

constexpr double kMaxOffset = 9007199254740991.0;  // 2^53 - 1, Number.MAX_SAFE_INTEGER

// EINTR and EAGAIN are retried at once; a device that answers nothing else for this long has
// failed.
constexpr uint32_t kMaxRetries = 128;

constexpr uint32_t kReapBatch = 256;

// A file in memory is read and written by copying, which io_uring hands to a kernel worker where
// the file system cannot promise not to sleep (tmpfs cannot: it may have swapped). Up to this size
// the copy takes less time than the way there and back, so the queue's own thread makes it.
constexpr uint32_t kMaxCopyBytes = 32 * 1024;

// Copies after which JavaScript is told what has come of them so far, so that it can work
// meanwhile.
constexpr uint32_t kCopyBatch = 32;

int32_t CopyTransfer(const BackendOp& op) {
  const auto offset = static_cast<off_t>(op.offset);
  ssize_t result = 0;
  if (op.kind == OpKind::kRead) {
    result = pread(op.fd, op.data, op.length, offset);
  } else if (op.durable) {
    const iovec part{op.data, op.length};
    result = pwritev2(op.fd, &part, 1, offset, RWF_DSYNC);
  } else {
    result = pwrite(op.fd, op.data, op.length, offset);
  }
  return result >= 0 ? static_cast<int32_t>(result) : -errno;
}

// The one copy of a slot. JavaScript may write to the original at any time; word-wise atomic loads
// make the compiler read each word exactly once, so that what was checked is what is used.
OpSlot CopySlot(const OpSlot& shared) {
  std::array<uint64_t, sizeof(OpSlot) / sizeof(uint64_t)> words;
  const auto* from = reinterpret_cast<const uint64_t*>(&shared);
  for (size_t i = 0; i < words.size(); ++i) words[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
  OpSlot copy;
  std::memcpy(&copy, words.data(), sizeof copy);
  return copy;
}

bool IsSafeOffset(double offset) {
  return offset >= 0 && offset <= kMaxOffset && offset == std::trunc(offset);  // false for NaN
}

}  // namespace

Queue::Queue(const QueueOptions& options, std::shared_ptr<SlabPool> pool,
             std::shared_ptr<FileTable> files, CompletionListener* listener)
    : options_(options),
      pool_(std::move(pool)),
      files_(std::move(files)),
      listener_(listener),
      submissions_(NextPowerOfTwo(options.depth + kControlSlots)),
      completions_(NextPowerOfTwo(options.depth + kControlSlots)) {
  RB_CHECK(options.depth >= 1 && options.depth <= kMaxDepth);
  RB_CHECK(options.backend_factory != nullptr);
  pending_.resize(capacity());
  for (uint32_t index = capacity(); index > 0; --index) free_pending_.push_back(index - 1);
  to_hand_over_.reserve(capacity());
  to_copy_.reserve(capacity());
  queue_files_.resize(files_->capacity());
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
  while (!Finished()) {
    TakeSubmissions();
    HandOver();
    CopyNow();
    const bool block = PrepareToSleep();
    counters_.waits.Add(1);
    const Status status = backend_->Wait(block);
    if (block && !sleeping_.exchange(false)) counters_.wake_ups.Add(1);
    RB_CHECK(status.ok());
    ReapAll();
    PublishCompletions();
  }
  TearDown();
}

void Queue::SetUp() {
  Status status;
  if (!options_.cpus.empty()) bind_status_ = BindThread(options_.cpus);
  cpus_got_ = CurrentCpus();
  std::unique_ptr<Backend> backend;
  status = options_.backend_factory({.max_in_flight = capacity(),
                                     .max_files = files_->capacity(),
                                     .without = options_.without_features},
                                    &backend);
  const std::lock_guard lock(mutex_);
  if (status.ok()) {
    backend_name_ = backend->name();
    features_ = backend->features();
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
  BackendOp op;
  FileTraits traits;
  int error = 0;
  switch (static_cast<SlotKind>(slot.kind)) {
    case SlotKind::kNop:
      break;
    case SlotKind::kRead:
    case SlotKind::kWrite:
    case SlotKind::kDataSync:
      error = PrepareTransfer(slot, &op, &traits);
      break;
    case SlotKind::kInstallFile:
      return Complete(slot.token, -InstallFile(slot), 0);
    case SlotKind::kRemoveFile:
      return Complete(slot.token, -RemoveFile(slot), 0);
    default:
      error = EINVAL;
  }
  if (slot.io_class >= kIoClasses) error = EINVAL;
  if (error != 0) {
    counters_.rejected.Add(1);
    return Complete(slot.token, -error, 0);
  }

  RB_CHECK(!free_pending_.empty());  // Kick() admits no more than there are
  const uint32_t index = free_pending_.back();
  free_pending_.pop_back();
  Pending& pending = pending_[index];
  pending.generation = (pending.generation + 1) & INT32_MAX;
  pending.in_use = true;
  pending.token = slot.token;
  pending.done = 0;
  pending.retries = 0;
  pending.granularity = traits.direct ? traits.alignment : 1;
  pending.io_class = static_cast<IoClass>(slot.io_class);
  pending.handed_ns = now_ns;
  // A time in the future, or none, is a caller's mistake and costs nothing but a statistic.
  const bool timed = slot.submitted_ns > 0 && slot.submitted_ns <= static_cast<double>(now_ns);
  pending.submitted_ns = timed ? static_cast<uint64_t>(slot.submitted_ns) : now_ns;
  pending.op = op;
  pending.op.id = (uint64_t{pending.generation} << 32) | index;
  const bool copy = traits.in_memory && op.kind != OpKind::kDataSync && op.length <= kMaxCopyBytes;
  (copy ? to_copy_ : to_hand_over_).push_back(pending.op);
  ++in_flight_;
  if (op.kind != OpKind::kNop) ++queue_files_[op.file_slot].in_flight;
}

int Queue::PrepareTransfer(const OpSlot& slot, BackendOp* op, FileTraits* traits) {
  const QueueFile* file = FindFile(slot);
  if (file == nullptr) return EBADF;
  op->fd = file->file.fd;
  op->file_slot = slot.file;
  if (static_cast<SlotKind>(slot.kind) == SlotKind::kDataSync) {
    op->kind = OpKind::kDataSync;
    return 0;
  }
  *traits = file->file.traits;
  if (slot.length == 0 || slot.length > INT32_MAX || !IsSafeOffset(slot.offset)) return EINVAL;
  op->offset = static_cast<uint64_t>(slot.offset);
  op->length = slot.length;
  if (!IsAligned(op->offset | op->length | slot.slab_offset, traits->alignment)) return EINVAL;
  op->data = pool_->Resolve(slot.slab, slot.slab_offset, slot.length);
  if (op->data == nullptr) return EFAULT;
  op->kind = static_cast<SlotKind>(slot.kind) == SlotKind::kRead ? OpKind::kRead : OpKind::kWrite;
  op->durable = op->kind == OpKind::kWrite && (slot.flags & kFlagDurable) != 0;
  return 0;
}

Queue::QueueFile* Queue::FindFile(const OpSlot& slot) {
  if (slot.file >= queue_files_.size()) return nullptr;
  QueueFile& file = queue_files_[slot.file];
  return file.installed && file.generation == slot.file_generation ? &file : nullptr;
}

int Queue::InstallFile(const OpSlot& slot) {
  if (slot.file >= queue_files_.size() || queue_files_[slot.file].installed) return EBADF;
  QueueFile& file = queue_files_[slot.file];
  if (!files_->Install({slot.file, slot.file_generation}, &file.file)) return EBADF;
  file.installed = true;
  file.generation = slot.file_generation;
  file.in_flight = 0;
  backend_->RegisterFile(slot.file, file.file.fd);
  return 0;
}

int Queue::RemoveFile(const OpSlot& slot) {
  QueueFile* file = FindFile(slot);
  if (file == nullptr) return EBADF;
  if (file->in_flight != 0) return EBUSY;
  backend_->RegisterFile(slot.file, -1);
  file->installed = false;
  files_->Uninstall(slot.file);
  return 0;
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
      results[i - done] = {to_copy_[i].id, CopyTransfer(to_copy_[i])};
    }
    const uint64_t now_ns = NowNs();
    for (size_t i = done; i < end; ++i) Finish(results[i - done], now_ns);
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
  if (staged_ != 0) return false;
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
  Pending& pending = pending_[index];
  RB_CHECK(pending.in_use && pending.op.id == result.id);  // exactly one result for each operation

  const int64_t outcome = Judge(&pending, result.result);
  if (outcome == kAgain) {
    to_hand_over_.push_back(pending.op);
    return;
  }
  Count(pending, outcome, now_ns);
  if (pending.op.kind != OpKind::kNop) --queue_files_[pending.op.file_slot].in_flight;
  --in_flight_;
  pending.in_use = false;
  free_pending_.push_back(index);
  Complete(pending.token, static_cast<int32_t>(outcome), pending.done);
}

// The one policy for interruptions and short transfers, whatever the backend.
int64_t Queue::Judge(Pending* pending, int32_t result) {
  BackendOp& op = pending->op;
  if (result == -EINTR || result == -EAGAIN) {
    if (cancelled_ || ++pending->retries > kMaxRetries) return result;
    counters_.retries.Add(1);
    return kAgain;
  }
  if (result < 0) return result;
  if (op.kind != OpKind::kRead && op.kind != OpKind::kWrite) return 0;

  auto moved = std::min(static_cast<uint32_t>(result), op.length);
  if (moved == op.length) return pending->done += moved;
  if (op.kind == OpKind::kRead) {
    // Nothing more, or a tail that is not a whole block: the end of the file. Going on from within
    // a block would be EINVAL on a direct file.
    if (moved == 0 || !IsAligned(moved, pending->granularity)) return pending->done += moved;
  } else {
    if (moved == 0) return -EIO;  // no progress and no reason
    moved = static_cast<uint32_t>(AlignDown(moved, pending->granularity));
  }
  if (cancelled_) return -ECANCELED;
  if (moved == 0 && ++pending->retries > kMaxRetries) return -EIO;
  if (moved != 0) pending->retries = 0;
  counters_.continuations.Add(1);
  pending->done += moved;
  op.offset += moved;
  op.length -= moved;
  op.data = static_cast<uint8_t*>(op.data) + moved;
  return kAgain;
}

void Queue::Count(const Pending& pending, int64_t outcome, uint64_t now_ns) {
  ClassCounters& counters = counters_.classes[static_cast<uint32_t>(pending.io_class)];
  if (outcome < 0) counters.errors.Add(1);
  switch (pending.op.kind) {
    case OpKind::kNop:
      counters.nops.Add(1);
      break;
    case OpKind::kRead:
      counters.reads.Add(1);
      counters.bytes_read.Add(pending.done);
      break;
    case OpKind::kWrite:
      counters.writes.Add(1);
      counters.bytes_written.Add(pending.done);
      break;
    case OpKind::kDataSync:
      counters.syncs.Add(1);
      break;
  }
  counters.waiting.Add(pending.handed_ns - pending.submitted_ns);
  counters.kernel.Add(now_ns - pending.handed_ns);
  counters.total.Add(now_ns - pending.submitted_ns);
}

void Queue::CancelAll() {
  cancelled_ = true;
  for (const Pending& pending : pending_) {
    if (pending.in_use) backend_->Cancel(pending.op.id);
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
  for (uint32_t slot = 0; slot < queue_files_.size(); ++slot) {
    if (queue_files_[slot].installed) files_->Uninstall(slot);
  }
  const std::lock_guard lock(mutex_);
  backend_.reset();
  exited_ = true;
  changed_.notify_all();
}

}  // namespace ringbolt
