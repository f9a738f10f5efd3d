#include "io/faulty_backend.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/align.h"
#include "base/check.h"

namespace ringbolt {

namespace {

// splitmix64: each seed is a sequence of its own, neighbours too.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 to `below` - 1.
  uint64_t Below(uint64_t below) { return Next() % below; }
  bool Happens(uint32_t rate) { return Below(kAllOperations) < rate; }

 private:
  uint64_t state_;
};

class FaultyBackend final : public Backend {
 public:
  FaultyBackend(const FaultPlan& plan, uint32_t max_in_flight, std::unique_ptr<Backend> inner);

  [[nodiscard]] const char* name() const override { return inner_->name(); }
  [[nodiscard]] const std::vector<BackendFeature>& features() const override {
    return inner_->features();
  }
  size_t Submit(std::span<const BackendOp> ops) override;
  Status Wait(bool block) override;
  size_t Reap(std::span<BackendResult> results) override;
  void Cancel(uint64_t id) override;
  void Wake() override { inner_->Wake(); }
  void RegisterFile(uint32_t slot, int fd) override { inner_->RegisterFile(slot, fd); }

 private:
  // Everything about an operation that was decided when it came.
  struct Fate {
    uint64_t id = 0;
    bool with_inner = false;
    int32_t error = 0;   // in place of its result; 0: none
    uint32_t unit = 1;   // of the bytes it is cut to
    uint64_t cut = 0;    // by which; 0: not at all
    uint32_t delay = 0;  // Reap() calls
  };
  struct Held {
    BackendResult result;
    uint32_t delay = 0;
  };

  int32_t DrawError(OpKind kind);
  void Decide(const BackendOp& op, Fate* fate);
  void Hold(const Fate& fate, int32_t result);
  void TakeFromInner();

  const FaultPlan plan_;
  const uint32_t max_in_flight_;
  const std::unique_ptr<Backend> inner_;
  Random of_operations_;
  Random of_results_;  // apart, because when results come is not part of the sequence
  uint32_t in_flight_ = 0;
  std::vector<Fate> fates_;  // the inner backend's ids are indices into it
  std::vector<uint32_t> free_fates_;
  std::vector<BackendOp> to_inner_;
  std::vector<Held> held_;
};

FaultyBackend::FaultyBackend(const FaultPlan& plan, uint32_t max_in_flight,
                             std::unique_ptr<Backend> inner)
    : plan_(plan),
      max_in_flight_(max_in_flight),
      inner_(std::move(inner)),
      of_operations_(plan.seed),
      of_results_(~plan.seed) {
  RB_CHECK(plan.seed != 0 && plan.max_delay >= 1);
  fates_.resize(max_in_flight);
  for (uint32_t i = max_in_flight; i > 0; --i) free_fates_.push_back(i - 1);
  to_inner_.reserve(max_in_flight);
  held_.reserve(max_in_flight);
}

int32_t FaultyBackend::DrawError(OpKind kind) {
  if (kind == OpKind::kNop) return 0;
  const bool changes = kind != OpKind::kRead;
  const std::pair<uint32_t, int32_t> errors[] = {{plan_.eintr, EINTR},
                                                 {plan_.eagain, EAGAIN},
                                                 {plan_.eio, EIO},
                                                 {changes ? plan_.enospc : 0, ENOSPC},
                                                 {changes ? plan_.erofs : 0, EROFS}};
  uint64_t draw = of_operations_.Below(kAllOperations);
  for (const auto& [rate, error] : errors) {
    if (draw < rate) return -error;
    draw -= rate;
  }
  return 0;
}

void FaultyBackend::Decide(const BackendOp& op, Fate* fate) {
  const bool transfer = op.kind == OpKind::kRead || op.kind == OpKind::kWrite;
  *fate = {.id = op.id};
  fate->error = DrawError(op.kind);
  // An error says nothing about what has reached the disk.
  fate->with_inner = fate->error == 0 || (fate->error == -EIO && of_operations_.Below(2) == 0);
  if (of_operations_.Happens(plan_.delays)) {
    fate->delay = 1 + static_cast<uint32_t>(of_operations_.Below(plan_.max_delay));
  }
  if (!transfer || !of_operations_.Happens(plan_.short_transfers)) return;
  const bool whole = op.kind == OpKind::kRead || of_operations_.Below(2) == 0;
  fate->unit = whole ? op.granularity : 1;
  fate->cut = of_operations_.Next() | 1;
}

size_t FaultyBackend::Submit(std::span<const BackendOp> ops) {
  const size_t count = std::min<size_t>(ops.size(), max_in_flight_ - in_flight_);
  for (const BackendOp& op : ops.first(count)) {
    const uint32_t index = free_fates_.back();
    Fate& fate = fates_[index];
    Decide(op, &fate);
    if (!fate.with_inner) {
      Hold(fate, fate.error);
      continue;
    }
    free_fates_.pop_back();
    to_inner_.push_back(op);
    to_inner_.back().id = index;
  }
  RB_CHECK(inner_->Submit(to_inner_) == to_inner_.size());
  to_inner_.clear();
  in_flight_ += static_cast<uint32_t>(count);
  return count;
}

void FaultyBackend::Hold(const Fate& fate, int32_t result) {
  const uint64_t units = result > 0 ? (static_cast<uint64_t>(result) - 1) / fate.unit : 0;
  if (fate.error != 0) {
    result = fate.error;
  } else if (fate.cut != 0 && units > 0) {
    result = static_cast<int32_t>((1 + (fate.cut % units)) * fate.unit);
  }
  held_.push_back({{fate.id, result}, fate.delay});
}

// While results are held the thread does not sleep, but turns up to max_delay times.
Status FaultyBackend::Wait(bool block) { return inner_->Wait(block && held_.empty()); }

void FaultyBackend::TakeFromInner() {
  std::array<BackendResult, 64> results;
  size_t count = 0;
  do {
    count = inner_->Reap(results);
    for (const BackendResult& result : std::span(results).first(count)) {
      Fate& fate = fates_[result.id];
      Hold(fate, result.result);
      fate.with_inner = false;
      free_fates_.push_back(static_cast<uint32_t>(result.id));
    }
  } while (count == results.size());
}

size_t FaultyBackend::Reap(std::span<BackendResult> results) {
  TakeFromInner();
  for (Held& held : held_) held.delay -= held.delay > 0 ? 1 : 0;
  size_t reaped = 0;
  // From a place that nobody knows, so that those that are due come in any order.
  const size_t count = held_.size();
  const size_t start = count > 0 ? of_results_.Below(count) : 0;
  for (size_t i = 0; i < count && reaped < results.size(); ++i) {
    Held& held = held_[(start + i) % count];
    if (held.delay > 0) continue;
    results[reaped++] = held.result;
    held.result.id = UINT64_MAX;
  }
  std::erase_if(held_, [](const Held& held) { return held.result.id == UINT64_MAX; });
  in_flight_ -= static_cast<uint32_t>(reaped);
  return reaped;
}

void FaultyBackend::Cancel(uint64_t id) {
  if (of_results_.Happens(plan_.lost_cancels)) return;
  for (uint32_t index = 0; index < fates_.size(); ++index) {
    if (fates_[index].with_inner && fates_[index].id == id) return inner_->Cancel(index);
  }
}

}  // namespace

std::unique_ptr<Backend> AddFaults(const FaultPlan& plan, uint32_t max_in_flight,
                                   std::unique_ptr<Backend> inner) {
  std::vector<PassedOver> passed_over = inner->passed_over();
  auto faulty = std::make_unique<FaultyBackend>(plan, max_in_flight, std::move(inner));
  faulty->set_passed_over(std::move(passed_over));
  return faulty;
}

}  // namespace ringbolt
