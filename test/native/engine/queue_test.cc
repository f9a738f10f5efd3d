// Shows the queue over a real backend: every slot gets exactly one completion, whatever is written
// into it; nothing is lost between sleeping and waking; it ends drained, cancelled, or orphaned.

#include "engine/queue.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include "base/clock.h"
#include "io/uring_backend.h"
#include "support/backend_fixture.h"
#include "support/queue_harness.h"
#include "support/seed.h"
#include "support/temp_file.h"

namespace ringbolt {

namespace {

using test::HaveUring;
using test::QueueHarness;
using test::Transfer;

int OpenDirect(const test::TempFile& file) {
  const int fd = open(file.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
  REQUIRE(fd >= 0);
  return fd;
}

}  // namespace

TEST_CASE("Queue: reads what is in the file and writes what it was given") {
  if (!HaveUring()) return;
  const test::TempFile file(1 << 20);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(OpenDirect(file), {.alignment = 512, .direct = true});
  const uint32_t slab = harness.Acquire(1);
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 8192, 65536, slab)).result == 65536);
  CHECK(test::TempFile::MatchesPattern(harness.pool().SlabData(slab), 8192, 65536));
  std::memset(harness.pool().SlabData(slab), 0x77, 4096);
  CHECK(harness.Run(Transfer(SlotKind::kWrite, handle, 0, 4096, slab)).result == 4096);
  OpSlot sync = Transfer(SlotKind::kDataSync, handle, 0, 0, 0);
  CHECK(harness.Run(sync).result == 0);
  OpSlot part = Transfer(SlotKind::kRead, handle, 0, 4096, slab);
  part.slab_offset = 4096;
  CHECK(harness.Run(part).result == 4096);
  CHECK(harness.pool().SlabData(slab)[4096] == 0x77);
  part.kind = static_cast<uint8_t>(SlotKind::kWrite);
  part.offset = 4096;
  CHECK(harness.Run(part).result == 4096);
  std::memset(harness.pool().SlabData(slab), 0, 4096);
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 4096, 512, slab)).result == 512);
  CHECK(harness.pool().SlabData(slab)[511] == 0x77);
  const ClassCounters& counters = harness.queue().counters().classes[0];
  CHECK(counters.reads.Get() == 3);
  CHECK(counters.writes.Get() == 2);
  CHECK(counters.syncs.Get() == 1);
  CHECK(counters.bytes_read.Get() == 65536 + 4096 + 512);
  CHECK(counters.bytes_written.Get() == 2 * 4096);
}

TEST_CASE(
    "Queue: a file in memory is read and written by the queue's own thread, by the same rules") {
  if (!HaveUring()) return;
  const int fd = memfd_create("ringbolt-test", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE(ftruncate(fd, 100'000) == 0);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(fd, {.in_memory = true});
  const uint32_t slab = harness.Acquire(1);
  uint8_t* data = harness.pool().SlabData(slab);
  std::memset(data, 0x3c, 4096);
  OpSlot write = Transfer(SlotKind::kWrite, handle, 90'000, 4096, slab);
  write.flags = kFlagDurable;
  // A hundred at once: more than one batch of copies.
  for (int i = 0; i < 100; ++i) harness.Put(write);
  REQUIRE(harness.Kick());
  for (const CompletionSlot& done : harness.Collect(100)) CHECK(done.result == 4096);
  std::memset(data, 0, 4096);
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 90'000, 4096, slab)).result == 4096);
  CHECK(data[4095] == 0x3c);
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 99'000, 4096, slab)).result == 1000);
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 200'000, 4096, slab)).result == 0);
  // Large ones go to the kernel's workers, which copy beside us.
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 0, 65536, slab)).result == 65536);
  CHECK(harness.Run(Transfer(SlotKind::kDataSync, handle, 0, 0, 0)).result == 0);
  CHECK(harness.queue().counters().classes[0].bytes_written.Get() == 409'600);
}

TEST_CASE("Queue: the end of a file whose tail is no whole block") {
  if (!HaveUring()) return;
  const test::TempFile file(4096);
  REQUIRE(truncate(file.path().c_str(), 4096 + 100) == 0);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(OpenDirect(file), {.alignment = 512, .direct = true});
  const uint32_t slab = harness.Acquire(1);
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 0, 65536, slab)).result == 4196);
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 8192, 4096, slab)).result == 0);
}

TEST_CASE("Queue: bad slots are refused one by one, with the reason") {
  if (!HaveUring()) return;
  const test::TempFile file(1 << 16);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(OpenDirect(file), {.alignment = 512, .direct = true});
  const uint32_t slab = harness.Acquire(0);
  const OpSlot good = Transfer(SlotKind::kRead, handle, 0, 4096, slab);
  const auto refused = [&](auto change) {
    OpSlot slot = good;
    change(slot);
    return -harness.Run(slot).result;
  };
  CHECK(refused([](OpSlot& s) { s.kind = 99; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.io_class = 2; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.file = 15; }) == EBADF);
  CHECK(refused([](OpSlot& s) { s.file = UINT32_MAX; }) == EBADF);
  CHECK(refused([](OpSlot& s) { ++s.file_generation; }) == EBADF);
  CHECK(refused([](OpSlot& s) { s.offset = -1; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.offset = 0.5; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.offset = std::nan(""); }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.offset = std::numeric_limits<double>::infinity(); }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.offset = 9007199254740992.0; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.offset = 100; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.length = 0; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.length = 100; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.length = 8192; }) == EFAULT);
  CHECK(refused([](OpSlot& s) { s.length = 0xfffff000U; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.slab += 1; }) == EFAULT);
  CHECK(refused([](OpSlot& s) { s.slab = UINT32_MAX; }) == EFAULT);
  CHECK(refused([](OpSlot& s) { s.slab_offset = 512; }) == EFAULT);
  CHECK(refused([](OpSlot& s) { s.slab_offset = 1; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.slab_offset = 256; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.slab_offset = 4096; }) == EFAULT);
  CHECK(refused([](OpSlot& s) { s.slab_offset = 0xfffff000U; }) == EFAULT);  // wraps round to 0
  // What lies at an offset in the slab has to be aligned there, and end within it.
  CHECK(refused([](OpSlot& s) { s.slab_offset = s.length = 2048 + 256; }) == EINVAL);
  CHECK(refused([](OpSlot& s) { s.slab_offset = s.length = 2560; }) == EFAULT);
  CHECK(harness.queue().counters().rejected.Get() == 24);
  CHECK(harness.Run(good).result == 4096);
}

TEST_CASE("Queue: 300,000 slots of random bytes: each gets exactly one completion") {
  if (!HaveUring()) return;
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const test::TempFile file(1 << 16);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(OpenDirect(file), {.alignment = 512, .direct = true});
  const uint32_t slab = harness.Acquire(0);
  uint32_t token = 0;
  for (int round = 0; round < 3000; ++round) {
    std::map<uint32_t, int> expected;
    for (int i = 0; i < 100; ++i) {
      OpSlot slot;
      uint64_t words[8];
      for (uint64_t& word : words) word = random();
      std::memcpy(&slot, words, sizeof slot);
      // Near misses find more than noise does: most fields right, a few random. Never a write: the
      // file is compared below.
      OpSlot near = Transfer(SlotKind::kRead, handle, (random() % 20) * 512, 512, slab);
      if (random() % 4 != 0) slot.file = near.file;
      if (random() % 4 != 0) slot.file_generation = near.file_generation;
      if (random() % 4 != 0) slot.slab = near.slab;
      if (random() % 4 != 0) slot.slab_offset = near.slab_offset;
      if (random() % 4 != 0) slot.offset = near.offset;
      if (random() % 4 != 0) slot.length = near.length;
      slot.io_class = static_cast<uint8_t>(random() % 3);
      slot.kind = static_cast<uint8_t>(random() % 9);
      if (slot.kind == static_cast<uint8_t>(SlotKind::kWrite)) slot.kind = 200;
      if (slot.kind == static_cast<uint8_t>(SlotKind::kRemoveFile)) slot.file_generation = 77;
      slot.token = ++token;
      ++expected[slot.token];
      harness.Put(slot);
    }
    REQUIRE(harness.Kick());
    for (const CompletionSlot& completion : harness.Collect(100)) {
      REQUIRE(--expected[completion.token] == 0);
    }
  }
  CHECK(harness.Run(Transfer(SlotKind::kRead, handle, 0, 4096, slab)).result == 4096);
  CHECK(test::TempFile::MatchesPattern(harness.pool().SlabData(slab), 0, 4096));
}

TEST_CASE("Queue: more than its capacity is refused before anything happens") {
  if (!HaveUring()) return;
  QueueHarness harness(CreateUringBackend, 32);
  CHECK(harness.queue().capacity() == 64);
  for (int i = 0; i < 65; ++i) harness.Put({});
  CHECK_FALSE(harness.Kick());
  CHECK(harness.queue().outstanding() == 0);
  CHECK_FALSE(harness.queue().Kick(UINT32_MAX));
  CHECK(harness.queue().Kick(64));
  CHECK_FALSE(harness.queue().Kick(1));
  CHECK(harness.Collect(64).size() == 64);
  CHECK(harness.queue().Kick(1));
  CHECK(harness.Collect(1).size() == 1);
}

TEST_CASE("Queue: no wake-up is lost over 100,000 single operations") {
  if (!HaveUring()) return;
  QueueHarness harness(CreateUringBackend);
  OpSlot slot{};
  bool right = true;
  for (uint32_t i = 0; i < 100'000; ++i) {
    slot.token = i;
    harness.Put(slot);
    right &= harness.Kick();
    right &= harness.Collect(1).front().token == i;
  }
  CHECK(right);
}

TEST_CASE("Queue: a file is removed only when nothing is in flight on it") {
  if (!HaveUring()) return;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(ends[0]);
  const uint32_t slab = harness.Acquire(0);
  OpSlot read = Transfer(SlotKind::kRead, handle, 0, 16, slab);
  read.token = 1;
  harness.Put(read);
  OpSlot remove = Transfer(SlotKind::kRemoveFile, handle, 0, 0, 0);
  remove.token = 2;
  harness.Put(remove);
  REQUIRE(harness.Kick());
  const CompletionSlot refused = harness.Collect(1).front();
  CHECK(refused.token == 2);
  CHECK(refused.result == -EBUSY);
  CHECK(harness.files().Close(handle).error() == EBUSY);
  REQUIRE(write(ends[1], "0123456789abcdef", 16) == 16);
  CHECK(harness.Collect(1).front().result == 16);
  CHECK(harness.Run(remove).result == 0);
  CHECK(harness.Run(read).result == -EBADF);
  CHECK(harness.files().Close(handle).ok());
  close(ends[1]);
}

TEST_CASE("Queue: cancelling ends operations that would never complete") {
  if (!HaveUring()) return;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(ends[0]);
  const uint32_t slab = harness.Acquire(0);
  for (int i = 0; i < 100; ++i) harness.Put(Transfer(SlotKind::kRead, handle, 0, 16, slab));
  REQUIRE(harness.Kick());
  harness.queue().RequestStop(StopMode::kCancel);
  CHECK(harness.queue().End(NowNs() + 60'000'000'000));
  harness.ForgetQueue();
  CHECK(harness.queue().in_flight() == 0);
  CHECK(harness.files().Close(handle).ok());  // the queue gave it back
  close(ends[1]);
}

TEST_CASE("Queue: one that cannot end is orphaned, keeps its memory, and ends by itself later") {
  if (!HaveUring()) return;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  std::weak_ptr<Queue> orphan;
  {
    QueueHarness harness(CreateUringBackend);
    const FileHandle handle = harness.Install(ends[0]);
    harness.Put(Transfer(SlotKind::kRead, handle, 0, 16, harness.Acquire(0)));
    REQUIRE(harness.Kick());
    // Draining waits for the read, which waits for a writer: as with a device that does not answer.
    harness.queue().RequestStop(StopMode::kDrain);
    CHECK_FALSE(harness.queue().End(NowNs() + 1'000'000));
    CHECK_FALSE(harness.queue().End(kNoDeadline));  // whoever comes later is told the same
    harness.ForgetQueue();
    orphan = harness.shared();
  }
  CHECK_FALSE(orphan.expired());
  REQUIRE(write(ends[1], "0123456789abcdef", 16) == 16);
  while (!orphan.expired()) std::this_thread::yield();  // or ctest's time-out
  close(ends[1]);
}

}  // namespace ringbolt
