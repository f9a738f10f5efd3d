// A queue with a pool and a file table, driven as JavaScript drives it: by the test's own thread.

#ifndef RINGBOLT_TEST_SUPPORT_QUEUE_HARNESS_H_
#define RINGBOLT_TEST_SUPPORT_QUEUE_HARNESS_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/queue.h"

namespace ringbolt::test {

class QueueHarness final : public CompletionListener {
 public:
  explicit QueueHarness(BackendFactory factory, uint32_t depth = 128);
  // Without a thread: the test's drives it.
  static constexpr struct Driven {
  } kDriven{};
  QueueHarness(BackendFactory factory, Driven);
  // Drains, unless the test has ended the queue itself.
  ~QueueHarness() override;

  Queue& queue() { return *queue_; }
  const std::shared_ptr<Queue>& shared() { return queue_; }
  BufferPool& pool() { return *pool_; }
  uint32_t Acquire(uint32_t slab_class);
  void Release(uint32_t slab);
  FileTable& files() { return *files_; }
  [[nodiscard]] const Status& start_status() const { return start_status_; }

  // Writes the next unpublished slot.
  void Put(const OpSlot& slot);
  // Publishes what was put.
  bool Kick();
  // Waits until `count` completions have come since the last call, and returns them.
  std::vector<CompletionSlot> Collect(uint32_t count);
  // One slot, start to end.
  CompletionSlot Run(const OpSlot& slot);

  // A file on this queue, from a descriptor that it takes over.
  FileHandle Install(int fd, const FileTraits& traits = {});

  void ForgetQueue() { ended_ = true; }
  // For good; the queue lives on only if something else holds on to it.
  void DropQueue() {
    ended_ = true;
    queue_.reset();
  }

  void OnReady() override;

 private:
  std::shared_ptr<BufferPool> pool_;
  std::shared_ptr<FileTable> files_;
  std::shared_ptr<Queue> queue_;
  void MakeParts();

  Status start_status_;
  bool driven_ = false;
  uint32_t tail_ = 0;
  uint32_t head_ = 0;
  uint32_t put_ = 0;
  bool ended_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
};

OpSlot Transfer(SlotKind kind, const FileHandle& file, uint64_t offset, uint32_t length,
                uint32_t slab);

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_SUPPORT_QUEUE_HARNESS_H_
