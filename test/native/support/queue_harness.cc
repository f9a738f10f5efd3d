#include "support/queue_harness.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>

namespace ringbolt::test {

void QueueHarness::MakeParts() {
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{.parts = {{.bytes = size_t{4} << 20}}, .huge_pages = HugePages::kOff};
  REQUIRE(Arena::Create(layout, &arena).ok());
  pool_ = std::make_shared<BufferPool>(arena, std::vector<uint32_t>{4096, 65536, 1U << 20});
  files_ = std::make_shared<FileTable>(16);
}

uint32_t QueueHarness::Acquire(uint32_t slab_class) {
  uint32_t slab = kNoSlab;
  REQUIRE(pool_->AcquireMany(slab_class, 0, {&slab, 1}) == 1);
  return slab;
}

void QueueHarness::Release(uint32_t slab) { CHECK(pool_->ReleaseMany({&slab, 1}) == 1); }

QueueHarness::QueueHarness(BackendFactory factory, Driven /*driven*/) : driven_(true) {
  MakeParts();
  QueueOptions options;
  options.depth = 1;
  options.driven = true;
  options.backend_factory = factory;
  queue_ = std::make_shared<Queue>(options, pool_, files_, this);
  start_status_ = queue_->StartDriven();
  ended_ = !start_status_.ok();
}

QueueHarness::QueueHarness(BackendFactory factory, uint32_t depth) {
  MakeParts();
  QueueOptions options;
  options.depth = depth;
  options.backend_factory = factory;
  queue_ = std::make_shared<Queue>(options, pool_, files_, this);
  const Status status = Queue::Start(queue_);
  REQUIRE_MESSAGE(status.ok(), status.syscall() << ": " << status.error() << status.detail());
}

QueueHarness::~QueueHarness() {
  if (ended_) return;
  if (driven_) {
    Queue::EndDriven(std::move(queue_), kNoDeadline);
    return;
  }
  queue_->RequestStop(StopMode::kDrain);
  CHECK(queue_->End(kNoDeadline));
}

void QueueHarness::Put(const OpSlot& slot) {
  queue_->submission_block()[(tail_++) & (queue_->capacity() - 1)] = slot;
  ++put_;
}

bool QueueHarness::Kick() {
  const bool kicked = queue_->Kick(put_);
  put_ = 0;
  if (driven_ && kicked) queue_->Drive();
  return kicked;
}

std::vector<CompletionSlot> QueueHarness::Collect(uint32_t count) {
  std::vector<CompletionSlot> collected;
  while (collected.size() < count) {
    const uint32_t ready = queue_->Ready();
    for (uint32_t i = 0; i < ready; ++i) {
      collected.push_back(queue_->completion_block()[(head_++) & (queue_->capacity() - 1)]);
    }
    queue_->Consumed(ready);
    if (collected.size() >= count) break;
    if (driven_) {
      pollfd readable{.fd = queue_->pollable_fd(), .events = POLLIN, .revents = 0};
      REQUIRE(poll(&readable, 1, 60'000) == 1);
      uint64_t signals = 0;
      REQUIRE(read(queue_->pollable_fd(), &signals, sizeof signals) == sizeof signals);
      queue_->Drive();
      continue;
    }
    if (!queue_->Arm()) continue;
    std::unique_lock lock(mutex_);
    // A lost notification must fail the test instead of hanging it.
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return ready_; }));
    ready_ = false;
  }
  return collected;
}

CompletionSlot QueueHarness::Run(const OpSlot& slot) {
  Put(slot);
  REQUIRE(Kick());
  return Collect(1).front();
}

FileHandle QueueHarness::Install(int fd, const FileTraits& traits) {
  FileHandle handle;
  REQUIRE(files_->Add(ScopedFd(fd), traits, &handle).ok());
  OpSlot slot{};
  slot.kind = static_cast<uint8_t>(SlotKind::kInstallFile);
  slot.file = handle.slot;
  slot.file_generation = handle.generation;
  REQUIRE(Run(slot).result == 0);
  return handle;
}

void QueueHarness::OnReady() {
  const std::lock_guard lock(mutex_);
  ready_ = true;
  changed_.notify_all();
}

OpSlot Transfer(SlotKind kind, const FileHandle& file, uint64_t offset, uint32_t length,
                uint32_t slab) {
  OpSlot slot{};
  slot.kind = static_cast<uint8_t>(kind);
  slot.file = file.slot;
  slot.file_generation = file.generation;
  slot.offset = static_cast<double>(offset);
  slot.length = length;
  slot.slab = slab;
  return slot;
}

}  // namespace ringbolt::test
