#include "io/threads_backend.h"

#include <algorithm>

#include "io/wake_event.h"
#include "io/worker_pool.h"

namespace ringbolt {

namespace {

class ThreadsBackend final : public Backend {
 public:
  explicit ThreadsBackend(uint32_t max_in_flight)
      : max_in_flight_(max_in_flight), pool_({.max_in_flight = max_in_flight}, &event_) {}

  Status Init() {
    Status status = event_.Init();
    return status.ok() ? pool_.Start() : status;
  }

  [[nodiscard]] const char* name() const override { return "threads"; }
  [[nodiscard]] const std::vector<BackendFeature>& features() const override { return features_; }

  size_t Submit(std::span<const BackendOp> ops) override {
    const size_t count = std::min<size_t>(ops.size(), max_in_flight_ - in_flight_);
    if (count > 0) pool_.Submit(ops.first(count));
    in_flight_ += static_cast<uint32_t>(count);
    return count;
  }

  Status Wait(bool block) override {
    while (block && pool_.PrepareToSleep()) {
      if (event_.Sleep()) break;
    }
    return Status::Ok();
  }

  size_t Reap(std::span<BackendResult> results) override {
    const size_t reaped = pool_.Reap(results);
    in_flight_ -= static_cast<uint32_t>(reaped);
    return reaped;
  }

  void Cancel(uint64_t id) override { (void)pool_.Cancel(id); }
  void Wake() override { event_.Wake(); }
  void RegisterFile(uint32_t /*slot*/, int /*fd*/) override {}  // operations go by descriptor

 private:
  const uint32_t max_in_flight_;
  uint32_t in_flight_ = 0;
  const std::vector<BackendFeature> features_;
  WakeEvent event_;
  WorkerPool pool_;  // before the event it signals ends, its workers do
};

}  // namespace

Status CreateThreadsBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  auto made = std::make_unique<ThreadsBackend>(options.max_in_flight);
  Status status = made->Init();
  if (status.ok()) *backend = std::move(made);
  return status;
}

}  // namespace ringbolt
