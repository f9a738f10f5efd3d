// Shows what kCancel does: one operation of many ends, with what it had done; others, and stale or
// foreign tokens, are of no consequence.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <set>

#include "io/uring_backend.h"
#include "support/backend_fixture.h"
#include "support/queue_harness.h"
#include "support/scripted_backend.h"

namespace ringbolt {

namespace {

using test::HaveUring;
using test::QueueHarness;
using test::Transfer;

OpSlot CancelOf(uint32_t target, uint32_t token) {
  OpSlot slot{};
  slot.kind = static_cast<uint8_t>(SlotKind::kCancel);
  slot.file = target;
  slot.token = token;
  return slot;
}

}  // namespace

TEST_CASE("Queue: cancelling ends the one operation that is meant") {
  if (!HaveUring()) return;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  QueueHarness harness(CreateUringBackend);
  const FileHandle handle = harness.Install(ends[0]);
  const uint32_t slab = harness.Acquire(0);
  for (uint32_t token = 0; token < 50; ++token) {
    OpSlot read = Transfer(SlotKind::kRead, handle, 0, 16, slab);
    read.token = token;
    harness.Put(read);
  }
  harness.Put(CancelOf(7, 1007));  // in the same batch as what it is for
  REQUIRE(harness.Kick());
  std::set<uint32_t> ended;
  for (const CompletionSlot& done : harness.Collect(2)) {
    ended.insert(done.token);
    CHECK(done.result == (done.token == 7 ? -ECANCELED : 0));
  }
  CHECK(ended == std::set<uint32_t>{7, 1007});

  // Once more, something never heard of, and something in a later batch.
  for (const uint32_t target : {7U, 0xffffffffU, 8U}) harness.Put(CancelOf(target, 2000));
  REQUIRE(harness.Kick());
  int cancelled = 0;
  for (const CompletionSlot& done : harness.Collect(4)) {
    if (done.token == 2000) continue;
    CHECK(done.token == 8);
    CHECK(done.result == -ECANCELED);
    ++cancelled;
  }
  CHECK(cancelled == 1);
  CHECK(harness.queue().in_flight() == 48);
  for (int i = 0; i < 48; ++i) REQUIRE(write(ends[1], "0123456789abcdef", 16) == 16);
  for (const CompletionSlot& done : harness.Collect(48)) CHECK(done.result == 16);
  close(ends[1]);
}

TEST_CASE("Queue: a cancelled transfer is not continued, and says how far it came") {
  uint32_t asked = 0;
  test::SetScript([&](const BackendOp&) {
    ++asked;
    return 4096;
  });
  QueueHarness harness(test::CreateScriptedBackend);
  const FileHandle handle = harness.Install(eventfd(0, EFD_CLOEXEC), {.alignment = 512});
  const uint32_t slab = harness.Acquire(1);
  OpSlot write = Transfer(SlotKind::kWrite, handle, 0, 8192, slab);
  write.token = 5;
  harness.Put(write);
  harness.Put(CancelOf(5, 6));
  REQUIRE(harness.Kick());
  for (const CompletionSlot& done : harness.Collect(2)) {
    if (done.token == 6) continue;
    CHECK(done.result == -ECANCELED);
    CHECK(done.bytes_done == 4096);
  }
  CHECK(asked == 1);
}

}  // namespace ringbolt
