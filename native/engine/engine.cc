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
  pool_ = std::make_shared<SlabPool>(std::move(arena), options_.slab_classes);
  files_ = std::make_shared<FileTable>(options_.max_files);

  for (uint32_t index = 0; index < options_.queue_cpus.size(); ++index) {
    QueueOptions queue_options;
    queue_options.index = index;
    queue_options.depth = options_.depth;
    queue_options.cpus = options_.queue_cpus[index];
    queue_options.without_features = options_.without_features;
    queue_options.backend_factory = options_.backend_factory;
    auto queue = std::make_shared<Queue>(queue_options, pool_, files_, listener_);
    status = Queue::Start(queue);
    if (!status.ok()) {
      (void)Stop(StopMode::kDrain, UINT64_MAX >> 1);
      queues_.clear();
      return status;
    }
    queues_.push_back(std::move(queue));
  }
  return Status::Ok();
}

uint32_t Engine::Stop(StopMode mode, uint64_t deadline_ns) {
  if (stopped_) return 0;
  stopped_ = true;
  // All are asked first, so that they end at the same time.
  for (const auto& queue : queues_) queue->RequestStop(mode);
  uint32_t orphaned = 0;
  for (const auto& queue : queues_) {
    if (queue->WaitExited(deadline_ns)) {
      queue->Join();
    } else {
      queue->Orphan();
      ++orphaned;
    }
  }
  return orphaned;
}

}  // namespace ringbolt
