// Shows the one policy for interruptions and short transfers: what is retried, what is continued
// and from where, and when it gives up.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "support/queue_harness.h"
#include "support/scripted_backend.h"

namespace ringbolt {

namespace {

using test::QueueHarness;
using test::SetScript;
using test::Transfer;

struct Seen {
  uint64_t offset;
  uint32_t length;
  size_t at;  // bytes into the slab
};

// Runs one transfer of `length` bytes at offset 4096, answered by `results` in turn (the last for
// ever), and returns its completion and what the backend was asked for.
CompletionSlot RunScript(SlotKind kind, uint32_t length, uint32_t alignment,
                         std::vector<int32_t> results, std::vector<Seen>* seen) {
  uint8_t* base = nullptr;
  size_t next = 0;
  SetScript([&](const BackendOp& op) {
    seen->push_back(
        {op.offset, op.length, static_cast<size_t>(static_cast<uint8_t*>(op.data) - base)});
    const int32_t result = results[next];
    if (next + 1 < results.size()) ++next;
    return result;
  });
  QueueHarness harness(test::CreateScriptedBackend);
  const FileHandle handle =
      harness.Install(eventfd(0, EFD_CLOEXEC), {.alignment = alignment, .direct = alignment > 1});
  const uint32_t slab = harness.Acquire(1);
  base = harness.pool().SlabData(slab);
  return harness.Run(Transfer(kind, handle, 4096, length, slab));
}

}  // namespace

TEST_CASE("Queue policy: a short transfer goes on where it stopped") {
  for (const SlotKind kind : {SlotKind::kRead, SlotKind::kWrite}) {
    std::vector<Seen> seen;
    const auto done = RunScript(kind, 65536, 512, {4096, 512, 65536 - 4608}, &seen);
    CHECK(done.result == 65536);
    CHECK(done.bytes_done == 65536);
    REQUIRE(seen.size() == 3);
    CHECK(seen[1].offset == 8192);
    CHECK(seen[1].length == 61440);
    CHECK(seen[1].at == 4096);
    CHECK(seen[2].offset == 8704);
    CHECK(seen[2].at == 4608);
  }
}

TEST_CASE("Queue policy: a read ends at the end of the file") {
  std::vector<Seen> seen;
  CHECK(RunScript(SlotKind::kRead, 8192, 512, {4096, 0}, &seen).result == 4096);
  seen.clear();
  // A tail that is no whole block ends it at once: to go on from there would be misaligned.
  CHECK(RunScript(SlotKind::kRead, 8192, 512, {1000}, &seen).result == 1000);
  CHECK(seen.size() == 1);
  seen.clear();
  // On a buffered file every position is a good one.
  CHECK(RunScript(SlotKind::kRead, 8192, 1, {1000, 0}, &seen).result == 1000);
  CHECK(seen.size() == 2);
}

TEST_CASE("Queue policy: a direct write that stopped within a block repeats the block") {
  std::vector<Seen> seen;
  CHECK(RunScript(SlotKind::kWrite, 8192, 512, {1000, 8192 - 512}, &seen).result == 8192);
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].offset == 4096 + 512);
  CHECK(seen[1].length == 8192 - 512);
}

TEST_CASE("Queue policy: EINTR and EAGAIN are retried, and not for ever") {
  std::vector<Seen> seen;
  CHECK(RunScript(SlotKind::kRead, 4096, 512, {-EINTR, -EAGAIN, -EINTR, 4096}, &seen).result ==
        4096);
  CHECK(seen.size() == 4);
  seen.clear();
  CHECK(RunScript(SlotKind::kRead, 4096, 512, {-EAGAIN}, &seen).result == -EAGAIN);
  CHECK(seen.size() == 129);
}

TEST_CASE("Queue policy: an error after some progress keeps the errno and says how far it came") {
  std::vector<Seen> seen;
  const auto failed = RunScript(SlotKind::kWrite, 65536, 512, {8192, 4096, -ENOSPC}, &seen);
  CHECK(failed.result == -ENOSPC);
  CHECK(failed.bytes_done == 12288);
}

TEST_CASE("Queue policy: a write that makes no progress is an I/O error") {
  std::vector<Seen> seen;
  CHECK(RunScript(SlotKind::kWrite, 4096, 512, {0}, &seen).result == -EIO);
  seen.clear();
  CHECK(RunScript(SlotKind::kWrite, 4096, 512, {100}, &seen).result == -EIO);
  CHECK(seen.size() == 129);
}

TEST_CASE("Queue policy: a backend that claims more than was asked for is not believed") {
  std::vector<Seen> seen;
  CHECK(RunScript(SlotKind::kRead, 4096, 512, {1 << 20}, &seen).result == 4096);
}

TEST_CASE("Queue policy: background reads, and only they, may wait for all others") {
  for (const SlotKind kind : {SlotKind::kRead, SlotKind::kWrite}) {
    for (const uint8_t io_class : {0, 1}) {
      bool idle = false;
      test::SetScript([&](const BackendOp& op) {
        idle = op.idle_priority;
        return static_cast<int32_t>(op.length);
      });
      QueueHarness harness(test::CreateScriptedBackend);
      const FileHandle handle = harness.Install(eventfd(0, EFD_CLOEXEC));
      OpSlot slot = Transfer(kind, handle, 0, 4096, harness.Acquire(0));
      slot.io_class = io_class;
      CHECK(harness.Run(slot).result == 4096);
      CHECK(idle == (kind == SlotKind::kRead && io_class == 1));
    }
  }
}

}  // namespace ringbolt
