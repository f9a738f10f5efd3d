// All operations of a loop turn go to the kernel in one io_submit(). Each completion adds to an
// eventfd, as other threads do to wake this one and helper threads with their results: one read()
// sleeps for all of them.

#include "io/aio_backend.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/bounded_queue.h"
#include "base/check.h"
#include "io/aio_context.h"
#include "io/wake_event.h"
#include "io/worker_pool.h"

namespace ringbolt {

namespace {

constexpr const char* kUserReap = "USER_REAP";

// Events are counted against fs.aio-max-nr (65536 by default) for the whole machine, so a queue
// takes no more than a device can be expected to have in flight; further operations wait here.
constexpr uint32_t kMaxEvents = 1024;

class AioBackend final : public Backend {
 public:
  explicit AioBackend(uint32_t max_in_flight);

  Status Init(const BackendOptions& options);

  [[nodiscard]] const char* name() const override { return "aio"; }
  [[nodiscard]] const std::vector<BackendFeature>& features() const override { return features_; }
  size_t Submit(std::span<const BackendOp> ops) override;
  Status Wait(bool block) override;
  size_t Reap(std::span<BackendResult> results) override;
  void Cancel(uint64_t id) override;
  void Wake() override { event_.Wake(); }
  void RegisterFile(uint32_t /*slot*/, int /*fd*/) override {}  // operations go by descriptor

 private:
  // An operation that the kernel has, or is about to be given.
  struct Slot {
    iocb control{};
    uint64_t id = 0;
    bool in_use = false;
    bool staged = false;
  };

  [[nodiscard]] bool ForKernel(const BackendOp& op) const;
  void Stage(const BackendOp& op);
  void HandOver();
  void Harvest();
  void Finish(Slot* slot, int32_t result);

  const uint32_t max_in_flight_;
  uint32_t in_flight_ = 0;
  uint32_t in_kernel_ = 0;
  uint32_t with_helpers_ = 0;
  std::vector<BackendFeature> features_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_slots_;
  std::vector<iocb*> staged_;
  std::vector<BackendOp> for_helpers_;
  BoundedQueue<BackendResult> ready_;
  WakeEvent event_;
  WorkerPool helpers_;
  AioContext context_;  // ends first: the kernel writes into slots and memory of operations
};

AioBackend::AioBackend(uint32_t max_in_flight)
    : max_in_flight_(max_in_flight),
      ready_(max_in_flight),
      helpers_({.max_in_flight = max_in_flight}, &event_) {
  slots_.resize(max_in_flight);
  free_slots_.reserve(max_in_flight);
  for (Slot& slot : slots_) free_slots_.push_back(&slot);
  staged_.reserve(max_in_flight);
  for_helpers_.reserve(max_in_flight);
}

Status AioBackend::Init(const BackendOptions& options) {
  Status status = event_.Init();
  if (status.ok()) status = context_.Init(std::min(max_in_flight_, kMaxEvents));
  if (status.ok()) status = helpers_.Start();
  if (!status.ok()) return status;
  if (IsDisabled(options.without, kUserReap)) {
    context_.ForgetRing();
    features_.push_back(DisabledFeature(kUserReap));
  } else {
    const bool known = context_.HasRing();
    const char* reason = known ? "" : "the ring of events has another layout than Linux's";
    features_.push_back({kUserReap, known, reason});
  }
  return Status::Ok();
}

// What answers to the system calls and is no Linux (it has no such ring) may not know the flag for
// durable writes and ignore it, as the field was reserved once.
bool AioBackend::ForKernel(const BackendOp& op) const {
  if (!op.direct) return false;
  return op.kind == OpKind::kRead ||
         (op.kind == OpKind::kWrite && (!op.durable || context_.HasRing()));
}

size_t AioBackend::Submit(std::span<const BackendOp> ops) {
  const size_t count = std::min<size_t>(ops.size(), max_in_flight_ - in_flight_);
  for (const BackendOp& op : ops.first(count)) {
    if (op.kind == OpKind::kNop) {
      ready_.Push({op.id, 0});
    } else if (ForKernel(op)) {
      Stage(op);
    } else {
      for_helpers_.push_back(op);
    }
  }
  if (!for_helpers_.empty()) helpers_.Submit(for_helpers_);
  with_helpers_ += static_cast<uint32_t>(for_helpers_.size());
  for_helpers_.clear();
  in_flight_ += static_cast<uint32_t>(count);
  return count;
}

void AioBackend::Stage(const BackendOp& op) {
  RB_CHECK(!free_slots_.empty());
  Slot* slot = free_slots_.back();
  free_slots_.pop_back();
  slot->id = op.id;
  slot->in_use = true;
  slot->staged = true;
  slot->control = MakeControl(op, static_cast<uint64_t>(slot - slots_.data()), event_.fd());
  staged_.push_back(&slot->control);
}

void AioBackend::HandOver() {
  size_t done = 0;
  while (done < staged_.size()) {
    const std::span<iocb*> rest = std::span(staged_).subspan(done);
    const int64_t taken = context_.Submit(rest);
    // No room for more: those in flight make some, and wake this thread when they do.
    if (taken == -EAGAIN && in_kernel_ > 0) break;
    // Refused: the first one alone, so that those behind it have their turn.
    const size_t count = taken > 0 ? static_cast<size_t>(taken) : 1;
    for (size_t i = 0; i < count; ++i) {
      Slot* slot = &slots_[rest[i]->aio_data];
      slot->staged = false;
      if (taken > 0) ++in_kernel_;
      if (taken <= 0) Finish(slot, taken == 0 ? -EAGAIN : static_cast<int32_t>(taken));
    }
    done += count;
  }
  staged_.erase(staged_.begin(), staged_.begin() + static_cast<ptrdiff_t>(done));
}

void AioBackend::Finish(Slot* slot, int32_t result) {
  ready_.Push({slot->id, result});
  slot->in_use = false;
  free_slots_.push_back(slot);
}

void AioBackend::Harvest() {
  std::array<io_event, 64> events;
  size_t count = 0;
  do {
    count = in_kernel_ > 0 ? context_.Reap(events) : 0;
    for (size_t i = 0; i < count; ++i) {
      Finish(&slots_[events[i].data], static_cast<int32_t>(events[i].res));
    }
    in_kernel_ -= static_cast<uint32_t>(count);
  } while (count == events.size());
}

Status AioBackend::Wait(bool block) {
  HandOver();
  while (block) {
    Harvest();
    if (!ready_.empty() || (with_helpers_ > 0 && !helpers_.PrepareToSleep())) break;
    if (event_.Sleep()) break;
  }
  return Status::Ok();
}

size_t AioBackend::Reap(std::span<BackendResult> results) {
  Harvest();
  size_t reaped = 0;
  while (reaped < results.size() && !ready_.empty()) results[reaped++] = ready_.Pop();
  if (with_helpers_ > 0) {
    const size_t helped = helpers_.Reap(results.subspan(reaped));
    with_helpers_ -= static_cast<uint32_t>(helped);
    reaped += helped;
  }
  in_flight_ -= static_cast<uint32_t>(reaped);
  return reaped;
}

void AioBackend::Cancel(uint64_t id) {
  if (helpers_.Cancel(id)) return;
  const auto found =
      std::ranges::find_if(slots_, [&](const Slot& slot) { return slot.in_use && slot.id == id; });
  if (found == slots_.end()) return;
  if (!found->staged) return context_.Cancel(&found->control);
  std::erase(staged_, &found->control);
  found->staged = false;
  Finish(&*found, -ECANCELED);
}

}  // namespace

Status CreateAioBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  auto made = std::make_unique<AioBackend>(options.max_in_flight);
  Status status = made->Init(options);
  if (status.ok()) *backend = std::move(made);
  return status;
}

}  // namespace ringbolt
