// Shows what a queue does with checksums: the values of the formula, over the whole of a transfer
// however it came about; nothing written that is not as expected; nothing bad from whatever a slot
// says; and that long hashing neither holds up I/O nor the end of the queue.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <set>

#include "base/clock.h"
#include "checksum/checksum.h"
#include "checksum/dispatch.h"
#include "support/queue_harness.h"
#include "support/scripted_backend.h"
#include "support/seed.h"

namespace ringbolt {

namespace {

using test::QueueHarness;
using test::SetScript;
using test::Transfer;

struct Formula {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc32c;
  uint32_t block_bytes = 4096;
  uint64_t seed = 0;
  double first_block = -1;  // none
};

OpSlot With(OpSlot slot, const Formula& formula, uint32_t place, bool compare = false) {
  slot.token = place;
  slot.flags = static_cast<uint16_t>(
      static_cast<uint32_t>(formula.algorithm) << kFlagAlgorithmShift |
      (formula.first_block >= 0 ? kFlagNumbered : 0) | (compare ? kFlagCompare : 0));
  slot.block_bytes = formula.block_bytes;
  slot.seed = formula.seed;
  slot.first_block = formula.first_block;
  return slot;
}

uint64_t Hash(ChecksumAlgorithm algorithm, const void* data, size_t bytes, uint64_t seed) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32c:
      return Crc32c(data, bytes, static_cast<uint32_t>(seed));
    case ChecksumAlgorithm::kCrc64Nvme:
      return Crc64Nvme(data, bytes, seed);
    default:
      return Xxh3(data, bytes, seed);
  }
}

std::vector<uint64_t> Values(const Formula& formula, const uint8_t* data, uint32_t bytes) {
  std::vector<uint64_t> values;
  for (uint32_t at = 0; at < bytes; at += formula.block_bytes) {
    const uint64_t number = static_cast<uint64_t>(formula.first_block) + values.size();
    const uint64_t seed = formula.first_block >= 0
                              ? Hash(formula.algorithm, &number, sizeof number, formula.seed)
                              : formula.seed;
    const uint32_t block = std::min(formula.block_bytes, bytes - at);
    values.push_back(Hash(formula.algorithm, data + at, block, seed));
  }
  return values;
}

std::vector<ChecksumAlgorithm> Algorithms() {
  std::vector<ChecksumAlgorithm> all{ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc64Nvme};
  if (ChosenXxh3Kernel() != nullptr) all.push_back(ChecksumAlgorithm::kXxh3);
  return all;
}

std::vector<uint64_t> Taken(QueueHarness& harness, uint32_t place, size_t count) {
  std::vector<uint64_t> values(count);
  ChecksumAreas::Take(*harness.queue().checksum_areas().At(place), values);
  return values;
}

void FillRandomly(uint8_t* data, size_t bytes, std::mt19937_64* random) {
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t word = (*random)();
    std::memcpy(data + i, &word, 8);
  }
}

// A queue whose backend says it has read and written everything, and has done nothing.
struct Idle {
  Idle()
      : harness((SetScript([](const BackendOp& op) { return static_cast<int32_t>(op.length); }),
                 test::CreateScriptedBackend)) {
    handle = harness.Install(eventfd(0, EFD_CLOEXEC));
    REQUIRE(harness.queue().checksum_areas().Prepare() == 0);
    slab = harness.Acquire(2);
    data = harness.pool().SlabData(slab);
  }
  QueueHarness harness;
  FileHandle handle;
  uint32_t slab = 0;
  uint8_t* data = nullptr;
};

}  // namespace

TEST_CASE("Queue checksums: the values of the formula, for every kind of operation") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Idle idle;
  FillRandomly(idle.data, 1 << 20, &random);
  for (const ChecksumAlgorithm algorithm : Algorithms()) {
    CAPTURE(static_cast<int>(algorithm));
    for (const auto& [length, block] :
         std::initializer_list<std::pair<uint32_t, uint32_t>>{{4096, 4096},
                                                              {65536, 512},
                                                              {1 << 20, 256},
                                                              {1 << 20, 1 << 20},
                                                              {1 << 20, 300'000},
                                                              {1 << 20, 700'001},
                                                              {100'000, 4096},
                                                              {1, 1},
                                                              {4096, 1},
                                                              {5000, UINT32_MAX},
                                                              {1 << 20, 262'144},
                                                              {1 << 20, 262'145}}) {
      CAPTURE(length);
      CAPTURE(block);
      for (const double first_block : {-1.0, 0.0, 9007199254740991.0 - 4095}) {
        const Formula formula{algorithm, block, random() & UINT32_MAX, first_block};
        const auto expected = Values(formula, idle.data, length);
        for (const SlotKind kind : {SlotKind::kRead, SlotKind::kWrite, SlotKind::kChecksum}) {
          const OpSlot slot = Transfer(kind, idle.handle, 0, length, idle.slab);
          CHECK(idle.harness.Run(With(slot, formula, 7)).result == static_cast<int32_t>(length));
          CHECK(Taken(idle.harness, 7, expected.size()) == expected);
        }
      }
    }
  }
  const QueueCounters& counters = idle.harness.queue().counters();
  CHECK(counters.classes[0].checksums.Get() == Algorithms().size() * 12 * 3);
  CHECK(counters.classes[0].nops.Get() == 0);
  CHECK(counters.rejected.Get() == 0);
}

TEST_CASE("Queue checksums: a transfer that was continued is hashed as a whole, and once") {
  int turn = 0;
  SetScript([&](const BackendOp& op) {
    const int32_t results[] = {4096, -EINTR, 512, -EAGAIN, static_cast<int32_t>(op.length)};
    return results[std::min(turn++, 4)];
  });
  QueueHarness harness(test::CreateScriptedBackend);
  const FileHandle handle = harness.Install(eventfd(0, EFD_CLOEXEC), {.alignment = 512});
  REQUIRE(harness.queue().checksum_areas().Prepare() == 0);
  const uint32_t slab = harness.Acquire(1);
  uint8_t* data = harness.pool().SlabData(slab);
  std::memset(data, 0x5a, 65536);
  const Formula formula{.block_bytes = 1000};
  for (const SlotKind kind : {SlotKind::kRead, SlotKind::kWrite}) {
    turn = 0;
    const OpSlot slot = Transfer(kind, handle, 0, 65536, slab);
    CHECK(harness.Run(With(slot, formula, 0)).result == 65536);
    CHECK(Taken(harness, 0, 66) == Values(formula, data, 65536));
  }
  CHECK(harness.queue().counters().classes[0].checksum_bytes.Get() == 2 * 65536);
}

TEST_CASE("Queue checksums: a read is hashed as far as it came, and a failed one not at all") {
  int32_t answer = 0;
  SetScript([&](const BackendOp&) { return answer; });
  QueueHarness harness(test::CreateScriptedBackend);
  const FileHandle handle =
      harness.Install(eventfd(0, EFD_CLOEXEC), {.alignment = 512, .direct = true});
  REQUIRE(harness.queue().checksum_areas().Prepare() == 0);
  const uint32_t slab = harness.Acquire(1);
  const Formula formula{};
  const OpSlot slot = With(Transfer(SlotKind::kRead, handle, 0, 65536, slab), formula, 3, true);
  ChecksumArea* area = harness.queue().checksum_areas().At(3);
  ChecksumAreas::Put(area, std::vector<uint64_t>(16, 42));
  answer = 0;
  CHECK(harness.Run(slot).result == 0);
  answer = -EIO;
  CHECK(harness.Run(slot).result == -EIO);
  CHECK(Taken(harness, 3, 16) == std::vector<uint64_t>(16, 42));
  answer = 5000;  // the second block is short
  CHECK(harness.Run(slot).result == 5000);
  auto expected = Values(formula, harness.pool().SlabData(slab), 5000);
  expected.resize(16, 42);
  CHECK(Taken(harness, 3, 16) == expected);
  CHECK(harness.queue().counters().classes[0].checksum_bytes.Get() == 5000);
}

TEST_CASE("Queue checksums: mismatches are found block by block") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Idle idle;
  FillRandomly(idle.data, 1 << 20, &random);
  ChecksumArea* area = idle.harness.queue().checksum_areas().At(0);
  for (int round = 0; round < 50; ++round) {
    const auto algorithms = Algorithms();
    const Formula formula{algorithms[random() % algorithms.size()], 512, 1, 1000};
    const uint32_t blocks = 1 + (random() % 2048);
    auto expected = Values(formula, idle.data, blocks * 512);
    std::set<uint32_t> wrong;
    for (uint64_t i = random() % 30; i > 0; --i) wrong.insert(random() % blocks);
    for (const uint32_t block : wrong) expected[block] ^= uint64_t{1} << (random() % 64);
    ChecksumAreas::Put(area, expected);
    const OpSlot slot = Transfer(SlotKind::kRead, idle.handle, 0, blocks * 512, idle.slab);
    CHECK(idle.harness.Run(With(slot, formula, 0, true)).result ==
          static_cast<int32_t>(blocks * 512));
    // Into the middle of a bitmap, whose other bits stay.
    const uint32_t first = random() % 40;
    std::vector<uint32_t> words((first + blocks + 31) / 32, UINT32_MAX);
    CHECK(ChecksumAreas::TakeMismatches(*area, blocks, first, words) == wrong.size());
    for (uint32_t bit = 0; bit < words.size() * 32; ++bit) {
      const bool set = (words[bit / 32] >> (bit % 32) & 1) != 0;
      const bool ours = bit >= first && bit < first + blocks;
      CHECK(set == (!ours || wrong.contains(bit - first)));
    }
  }
}

TEST_CASE("Queue checksums: what is not as expected is never handed to the backend") {
  int written = 0;
  SetScript([&](const BackendOp& op) {
    if (op.kind == OpKind::kWrite) ++written;
    return static_cast<int32_t>(op.length);
  });
  QueueHarness harness(test::CreateScriptedBackend);
  // In memory as well: that one has a way of its own.
  for (const bool in_memory : {false, true}) {
    const int fd = in_memory ? memfd_create("ringbolt-test", MFD_CLOEXEC) : eventfd(0, EFD_CLOEXEC);
    const FileHandle handle = harness.Install(fd, {.in_memory = in_memory});
    REQUIRE(harness.queue().checksum_areas().Prepare() == 0);
    const uint32_t slab = harness.Acquire(1);
    uint8_t* data = harness.pool().SlabData(slab);
    std::memset(data, in_memory ? 7 : 8, 65536);
    const Formula formula{};
    auto expected = Values(formula, data, 16384);
    ChecksumAreas::Put(harness.queue().checksum_areas().At(1), expected);
    const OpSlot slot = With(Transfer(SlotKind::kWrite, handle, 0, 16384, slab), formula, 1, true);
    CHECK(harness.Run(slot).result == 16384);
    CHECK(written == 1);
    expected[3] ^= 1;
    ChecksumAreas::Put(harness.queue().checksum_areas().At(1), expected);
    const CompletionSlot refused = harness.Run(slot);
    CHECK(refused.result == -EBADMSG);
    CHECK(refused.bytes_done == 0);
    CHECK(written == 1);
    OpSlot remove = Transfer(SlotKind::kRemoveFile, handle, 0, 0, 0);
    CHECK(harness.Run(remove).result == 0);  // nothing of it counts as in flight
  }
}

TEST_CASE("Queue checksums: a write fails if its memory changed and it is to be looked at again") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  uint8_t* changed = nullptr;
  int turn = 0;
  SetScript([&](const BackendOp& op) {
    if (changed != nullptr) ++*changed;
    return turn++ % 2 == 0 ? 4096 : static_cast<int32_t>(op.length);  // in two parts
  });
  QueueHarness harness(test::CreateScriptedBackend);
  const FileHandle handle = harness.Install(eventfd(0, EFD_CLOEXEC));
  REQUIRE(harness.queue().checksum_areas().Prepare() == 0);
  const uint32_t slab = harness.Acquire(1);
  uint8_t* data = harness.pool().SlabData(slab);
  FillRandomly(data, 16384, &random);
  for (const ChecksumAlgorithm algorithm : Algorithms()) {
    const Formula formula{.algorithm = algorithm, .first_block = 5};
    for (const bool compares : {false, true}) {
      for (const bool changes : {false, true}) {
        for (const bool rechecks : {false, true}) {
          CAPTURE(changes);
          CAPTURE(rechecks);
          const std::vector<uint64_t> before = Values(formula, data, 16384);
          ChecksumAreas::Put(harness.queue().checksum_areas().At(3), before);
          changed = changes ? data + (random() % 16384) : nullptr;
          OpSlot slot =
              With(Transfer(SlotKind::kWrite, handle, 0, 16384, slab), formula, 3, compares);
          if (rechecks) slot.flags |= kFlagRecheck;
          const CompletionSlot done = harness.Run(slot);
          CHECK(done.result == (changes && rechecks ? -EBADMSG : 16384));
          CHECK(done.bytes_done == 16384);
          CHECK(Taken(harness, 3, 4) == before);
        }
      }
    }
  }
}

TEST_CASE("Queue checksums: bad requests are refused, with the reason") {
  Idle idle;
  const Formula formula{.block_bytes = 512, .first_block = 5};
  for (const SlotKind kind : {SlotKind::kRead, SlotKind::kWrite, SlotKind::kChecksum}) {
    const OpSlot good = With(Transfer(kind, idle.handle, 0, 65536, idle.slab), formula, 1);
    const auto refused = [&](auto change) {
      OpSlot slot = good;
      change(slot);
      return -idle.harness.Run(slot).result;
    };
    CHECK(idle.harness.Run(good).result == 65536);
    CHECK(refused([](OpSlot& s) { s.block_bytes = 0; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.block_bytes = 15; }) == EINVAL);  // 4370 blocks
    CHECK(refused([](OpSlot& s) { s.seed = uint64_t{1} << 32; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.first_block = -1; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.first_block = 0.5; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.first_block = std::nan(""); }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.first_block = INFINITY; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.first_block = 9007199254740991.0 - 126; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.token = 4096; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.token = 0xffffffff; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.slab = UINT32_MAX; }) == EFAULT);
    CHECK(refused([](OpSlot& s) { s.slab_offset = (1 << 20) - 512; }) == EFAULT);
    CHECK(refused([](OpSlot& s) { s.length = 0; }) == EINVAL);
    CHECK(refused([](OpSlot& s) { s.length = UINT32_MAX; }) == EINVAL);
    if (ChosenXxh3Kernel() == nullptr) {
      CHECK(refused([](OpSlot& s) { s.flags = 3 << kFlagAlgorithmShift; }) == ENOTSUP);
    }
  }
  OpSlot none = Transfer(SlotKind::kChecksum, idle.handle, 0, 4096, idle.slab);
  CHECK(idle.harness.Run(none).result == -EINVAL);
  CHECK(idle.harness.queue().counters().classes[0].checksum_bytes.Get() == 3 * 65536);

  QueueHarness unprepared(test::CreateScriptedBackend);
  const uint32_t slab = unprepared.Acquire(0);
  const OpSlot slot = Transfer(SlotKind::kChecksum, {}, 0, 4096, slab);
  CHECK(unprepared.Run(With(slot, formula, 0)).result == -EINVAL);
}

TEST_CASE("Queue checksums: 100,000 random requests, places in common: each ends exactly once") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Idle idle;
  const auto one_of = [&](std::initializer_list<uint64_t> values) {
    return values.begin()[random() % values.size()];
  };
  for (int round = 0; round < 1000; ++round) {
    std::multiset<uint32_t> tokens;
    for (int i = 0; i < 100; ++i) {
      OpSlot slot =
          Transfer(static_cast<SlotKind>(one_of({1, 1, 2, 2, 6, 7, 7, 0, 3})), idle.handle, 0,
                   static_cast<uint32_t>(one_of({512, 4096, 65536, random() % 70000})), idle.slab);
      slot.flags = static_cast<uint16_t>(random());
      slot.block_bytes =
          static_cast<uint32_t>(one_of({512, 4096, 1, 0, random() % 70000, random()}));
      slot.seed = one_of({0, random() & UINT32_MAX, random()});
      slot.first_block = static_cast<double>(one_of({0, random() >> 11, random()}));
      slot.token = static_cast<uint32_t>(one_of({random() % 4, random() % 300, random()}));
      tokens.insert(slot.token);
      idle.harness.Put(slot);
    }
    // At the same time as the queue's thread, which nobody should do and anybody can.
    REQUIRE(idle.harness.Kick());
    for (uint32_t place = 0; place < 4; ++place) {
      const std::vector<uint64_t> values(64, random());
      ChecksumAreas::Put(idle.harness.queue().checksum_areas().At(place), values);
      (void)Taken(idle.harness, place, 64);
    }
    for (const CompletionSlot& done : idle.harness.Collect(100)) {
      const auto found = tokens.find(done.token);
      REQUIRE(found != tokens.end());
      tokens.erase(found);
    }
  }
}

TEST_CASE("Queue checksums: long hashing lets short operations pass") {
  Idle idle;
  const Formula whole{.block_bytes = 1 << 20};
  const OpSlot hash = Transfer(SlotKind::kChecksum, {}, 0, 1 << 20, idle.slab);
  for (uint32_t place = 0; place < 20; ++place) idle.harness.Put(With(hash, whole, place));
  OpSlot read = With(Transfer(SlotKind::kRead, idle.handle, 0, 4096, idle.slab), {}, 30);
  idle.harness.Put(read);
  OpSlot nop{};
  nop.token = 40;
  idle.harness.Put(nop);
  REQUIRE(idle.harness.Kick());
  // The no-op waits for a piece, and the read for a piece of each, at most: not for 20 MiB. Those
  // that were ahead of it with their last piece, too, are few.
  const auto done = idle.harness.Collect(22);
  CHECK(done[0].token == 40);
  const auto at = std::find_if(done.begin(), done.end(), [](auto& one) { return one.token == 30; });
  CHECK(at - done.begin() <= 4);
  const auto value = Values(whole, idle.data, 1 << 20);
  for (uint32_t place = 0; place < 20; ++place) CHECK(Taken(idle.harness, place, 1) == value);
}

TEST_CASE("Queue checksums: a queue that is cancelled does not finish hashing, but ends") {
  Idle idle;
  for (uint32_t place = 0; place < 100; ++place) {
    const auto kind = static_cast<SlotKind>(place % 3 == 0 ? 7 : place % 3);
    const OpSlot slot = Transfer(kind, idle.handle, 0, 1 << 20, idle.slab);
    idle.harness.Put(With(slot, {.block_bytes = 1 << 19}, place));
  }
  REQUIRE(idle.harness.Kick());
  idle.harness.queue().RequestStop(StopMode::kCancel);
  CHECK(idle.harness.queue().End(NowNs() + 60'000'000'000));
  idle.harness.ForgetQueue();
  CHECK(idle.harness.queue().in_flight() == 0);
  CHECK(idle.harness.files().Close(idle.handle).ok());
}

TEST_CASE("Queue checksums: a queue that drains hashes all that was kicked") {
  Idle idle;
  const Formula formula{.block_bytes = 1 << 20};
  for (uint32_t place = 0; place < 60; ++place) {
    const auto kind = static_cast<SlotKind>(place % 3 == 0 ? 7 : place % 3);
    idle.harness.Put(With(Transfer(kind, idle.handle, 0, 1 << 20, idle.slab), formula, place));
  }
  REQUIRE(idle.harness.Kick());
  idle.harness.queue().RequestStop(StopMode::kDrain);
  CHECK(idle.harness.queue().End(kNoDeadline));
  idle.harness.ForgetQueue();
  CHECK(idle.harness.queue().Ready() == 60);
  const auto value = Values(formula, idle.data, 1 << 20);
  for (uint32_t place = 0; place < 60; ++place) CHECK(Taken(idle.harness, place, 1) == value);
}

}  // namespace ringbolt
