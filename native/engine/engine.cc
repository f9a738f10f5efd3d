#include "engine/engine.h"

#include <utility>

#include "base/check.h"

namespace ringbolt {

Engine::Engine(EngineOptions options, CompletionListener* listener)
    : options_(std::move(options)), listener_(listener) {}

Engine::~Engine() { RB_CHECK(stopped_ || queues_.empty()); }

Status Engine::Start() {
  std::shared_ptr<Arena> arena;
  Status status = Arena::Create(options_.arena, &arena);
  if (!status.ok()) return status;
  pool_ = std::make_shared<BufferPool>(std::move(arena), options_.slab_classes);
  files_ = std::make_shared<FileTable>(options_.max_files);

  for (uint32_t index = 0; index < options_.queue_cpus.size(); ++index) {
    QueueOptions queue_options = CommonOptions();
    queue_options.index = index;
    queue_options.depth = options_.depth;
    queue_options.cpus = options_.queue_cpus[index];
    queue_options.backend_kind = options_.backend_kind;
    queue_options.faults = options_.faults;
    if (options_.faults.seed != 0) queue_options.faults.seed += index;
    auto queue = std::make_shared<Queue>(queue_options, pool_, files_, listener_);
    status = Queue::Start(queue);
    if (status.ok()) status = Adopt(queue);
    if (!status.ok()) {
      (void)Stop(StopMode::kDrain, kNoDeadline);
      return status;
    }
  }
  return Status::Ok();
}

QueueOptions Engine::CommonOptions() const {
  QueueOptions common;
  common.without_features = options_.without_features;
  common.backend_factory = options_.backend_factory;
  return common;
}

// Without injected faults: those are for queues whose thread waits for what a fault delays.
std::shared_ptr<Queue> Engine::MakeDrivenQueue() const {
  QueueOptions queue_options = CommonOptions();
  queue_options.index = static_cast<uint32_t>(queues_.size());
  queue_options.depth = 1;
  queue_options.driven = true;
  queue_options.backend_kind = BackendKind::kUring;
  return std::make_shared<Queue>(queue_options, pool_, files_, listener_);
}

// Makes a queue that has started one of the engine's, unless the engine was stopped meanwhile.
Status Engine::Adopt(const std::shared_ptr<Queue>& queue) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      queues_.push_back(queue);
      return Status::Ok();
    }
  }
  queue->RequestStop(StopMode::kCancel);
  (void)queue->End(kNoDeadline);  // it has never been given any work
  return Status::Error(ECANCELED, "start", "the engine was stopped while it started");
}

uint32_t Engine::Stop(StopMode mode, uint64_t deadline_ns) {
  std::vector<std::shared_ptr<Queue>> queues;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    queues = queues_;
  }
  // All are asked first, so that they end at the same time.
  for (const auto& queue : queues) queue->RequestStop(mode);
  uint32_t orphaned = 0;
  for (const auto& queue : queues) {
    if (!queue->End(deadline_ns)) ++orphaned;
  }
  return orphaned;
}

}  // namespace ringbolt
