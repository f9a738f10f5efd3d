// Shows a queue that its caller's thread drives: the same slots and answers as with a thread, an
// eventfd that says when there is something to fetch, and an end that waits for the kernel or
// leaves everything to it.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>

#include "base/clock.h"
#include "engine/queue.h"
#include "io/threads_backend.h"
#include "io/uring_backend.h"
#include "support/backend_fixture.h"
#include "support/queue_harness.h"
#include "support/temp_file.h"

namespace ringbolt {

namespace {

using test::QueueHarness;
using test::Transfer;

// Takes everything and answers nothing: a device that is gone.
class SilentBackend final : public Backend {
 public:
  ~SilentBackend() override { close(fd_); }
  const char* name() const override { return "silent"; }
  const std::vector<BackendFeature>& features() const override { return features_; }
  size_t Submit(std::span<const BackendOp> ops) override { return ops.size(); }
  Status Wait(bool /*block*/) override { return Status::Ok(); }
  size_t Reap(std::span<BackendResult> /*results*/) override { return 0; }
  void Cancel(uint64_t /*id*/) override {}
  void Wake() override {}
  void RegisterFile(uint32_t /*slot*/, int /*fd*/) override {}
  int PollableFd() const override { return fd_; }

 private:
  const int fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::vector<BackendFeature> features_;
};

Status CreateSilentBackend(const BackendOptions& /*options*/, std::unique_ptr<Backend>* backend) {
  *backend = std::make_unique<SilentBackend>();
  return Status::Ok();
}

}  // namespace

TEST_CASE("Driven queue: reads what is in the file, from the device and from the page cache") {
  if (!test::HaveUring()) return;
  const test::TempFile file(1 << 20);
  QueueHarness harness(CreateUringBackend, QueueHarness::kDriven);
  REQUIRE(harness.start_status().ok());
  const int fds[] = {open(file.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC),
                     open(file.path().c_str(), O_RDONLY | O_CLOEXEC)};
  const uint32_t slab = harness.Acquire(1);
  for (const int fd : fds) {
    REQUIRE(fd >= 0);
    const FileHandle handle = harness.Install(fd, {.alignment = 512, .direct = fd == fds[0]});
    for (uint64_t offset = 0; offset < (1 << 20); offset += 8192) {
      REQUIRE(harness.Run(Transfer(SlotKind::kRead, handle, offset, 8192, slab)).result == 8192);
      REQUIRE(test::TempFile::MatchesPattern(harness.pool().SlabData(slab), offset, 8192));
    }
    CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 1 << 20, 8192, slab)).result == 0);
    CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 1, 8192, slab)).result == -EINVAL);
  }
}

TEST_CASE("Driven queue: not over a backend that an event loop cannot wait for") {
  const QueueHarness harness(CreateThreadsBackend, QueueHarness::kDriven);
  CHECK(harness.start_status().error() == ENOTSUP);
}

TEST_CASE("Driven queue: its end cancels what would never complete") {
  if (!test::HaveUring()) return;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  QueueHarness harness(CreateUringBackend, QueueHarness::kDriven);
  REQUIRE(harness.start_status().ok());
  const FileHandle handle = harness.Install(ends[0]);
  for (int i = 0; i < 10; ++i) {
    harness.Put(Transfer(SlotKind::kRead, handle, 0, 16, harness.Acquire(0)));
  }
  REQUIRE(harness.Kick());
  const std::weak_ptr<Queue> queue = harness.shared();
  Queue::EndDriven(harness.shared(), NowNs() + 60'000'000'000);
  harness.DropQueue();
  CHECK(queue.expired());
  CHECK(harness.files().Close(handle).ok());  // the queue gave it back
  close(ends[1]);
}

TEST_CASE("Driven queue: what does not end in time is left to the process, with its memory") {
  QueueHarness harness(CreateSilentBackend, QueueHarness::kDriven);
  REQUIRE(harness.start_status().ok());
  const test::TempFile file(4096);
  const FileHandle handle = harness.Install(open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
  harness.Put(Transfer(SlotKind::kRead, handle, 0, 16, harness.Acquire(0)));
  REQUIRE(harness.Kick());
  const std::weak_ptr<Queue> queue = harness.shared();
  Queue::EndDriven(harness.shared(), NowNs() + 1'000'000);
  harness.DropQueue();
  CHECK_FALSE(queue.expired());
}

}  // namespace ringbolt
