// An engine: memory, files, and the queues that work on them. Knows nothing of JavaScript.

#ifndef RINGBOLT_ENGINE_ENGINE_H_
#define RINGBOLT_ENGINE_ENGINE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/file_table.h"
#include "engine/queue.h"
#include "memory/arena.h"
#include "memory/buffer_pool.h"

namespace ringbolt {

struct EngineOptions {
  std::vector<std::vector<int>> queue_cpus;  // one list a queue; an empty list binds nothing
  uint32_t depth = 128;
  uint32_t max_files = 1024;
  ArenaLayout arena;
  std::vector<uint32_t> slab_classes;
  BackendKind backend_kind = BackendKind::kAuto;
  FaultPlan faults;  // each queue has a seed of its own, from this one on
  std::vector<std::string> without_features;
  BackendFactory backend_factory = nullptr;
};

class Engine {
 public:
  Engine(EngineOptions options, CompletionListener* listener);
  ~Engine();  // Stop() came first, unless Start() failed or was never called
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Control thread. Makes memory and queues; on failure nothing is left running.
  Status Start();

  // Any thread, once Start() has succeeded. A queue for the JavaScript thread to drive, which is
  // that thread's alone, from its start to its end.
  [[nodiscard]] std::shared_ptr<Queue> MakeDrivenQueue() const;

  // Any thread, also while Start() or another Stop() runs: then what they have begun is ended too,
  // and the stronger mode wins. Waits until all queues have ended, at most until `deadline_ns`
  // (CLOCK_MONOTONIC), and orphans those that have not. Returns how many.
  uint32_t Stop(StopMode mode, uint64_t deadline_ns);

  // Once Start() has succeeded.
  [[nodiscard]] const std::vector<std::shared_ptr<Queue>>& queues() const { return queues_; }
  [[nodiscard]] const std::shared_ptr<BufferPool>& pool() const { return pool_; }
  [[nodiscard]] const std::shared_ptr<FileTable>& files() const { return files_; }

 private:
  // All that the queues have in common.
  [[nodiscard]] QueueOptions CommonOptions() const;
  Status Adopt(const std::shared_ptr<Queue>& queue);

  const EngineOptions options_;
  CompletionListener* const listener_;
  std::shared_ptr<BufferPool> pool_;
  std::shared_ptr<FileTable> files_;
  std::mutex mutex_;                            // of what follows, until Start() has returned
  std::vector<std::shared_ptr<Queue>> queues_;  // those whose thread runs, or ran
  bool stopped_ = false;                        // no further queue may be added
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_ENGINE_H_
