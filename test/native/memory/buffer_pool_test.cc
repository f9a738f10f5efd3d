// Shows that slabs of all classes share each part, that nothing but what is leased resolves or can
// be released, that a part that has run out is helped out by others and recovers at once, that
// trimming gives memory back and disturbs nobody, and that large leases come and go. One thread;
// several are buffer_pool_threads_test.cc's, random use is buffer_pool_fuzz_test.cc's.

#include "memory/buffer_pool.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <set>

#include "memory/magazine.h"
#include "memory/pool_fixture.h"
#include "support/resident.h"

namespace ringbolt {

using test::AcquireAll;
using test::kMiB;
using test::MakePool;

TEST_CASE("BufferPool: one class may use a whole part, and what is given back serves another") {
  const auto pool = MakePool({kMiB}, {4096, 65536, 1U << 20});
  const std::vector<uint32_t> small = AcquireAll(*pool, 0);
  CHECK(std::set<uint32_t>(small.begin(), small.end()).size() == 256);
  std::array<uint32_t, 1> one{};
  CHECK(pool->AcquireMany(2, 0, one) == 0);
  CHECK(pool->Stats().parts[0].classes[2].misses == 1);
  CHECK(pool->Stats().parts[0].classes[0].cut == 256);
  CHECK(pool->Stats().parts[0].uncut_bytes == 0);

  CHECK(pool->ReleaseMany(small) == 256);
  CHECK(pool->Stats().parts[0].classes[0].cut == 256);  // they stay with their class
  REQUIRE(pool->AcquireMany(2, 0, one) == 1);           // until another needs them
  CHECK(pool->LeasedBytes(one[0]) == kMiB);
  CHECK(pool->Stats().parts[0].classes[0].cut == 0);
  CHECK(pool->Stats().parts[0].classes[2].cut == 1);
}

TEST_CASE("BufferPool: free neighbours join, whatever lies between stays") {
  const auto pool = MakePool({kMiB}, {4096, 8192});
  const std::vector<uint32_t> small = AcquireAll(*pool, 0);
  const std::set<uint32_t> all(small.begin(), small.end());
  std::array<uint32_t, 4> some{};
  // 1 and 2 are neighbours, but no aligned 8 KiB.
  for (const uint32_t unit : {1U, 2U, 6U, 7U}) REQUIRE(pool->ReleaseMany({&unit, 1}) == 1);
  REQUIRE(pool->AcquireMany(1, 0, some) == 1);
  CHECK(some[0] == 6);
  CHECK(pool->Resolve(6, 0, 8192) != nullptr);
  CHECK(pool->Resolve(7, 0, 4096) == nullptr);
  REQUIRE(pool->AcquireMany(0, 0, some) == 2);
  CHECK(std::set<uint32_t>{some[0], some[1]} == std::set<uint32_t>{1, 2});
}

TEST_CASE("BufferPool: nothing but the inside of a lease resolves") {
  const auto pool = MakePool({2 * kMiB, 2 * kMiB}, {4096, 65536}, 8 * kMiB);
  std::array<uint32_t, 1> slab{};
  REQUIRE(pool->AcquireMany(1, 1, slab) == 1);
  const uint32_t unit = slab[0];
  CHECK(pool->PartOf(unit) == 1);
  CHECK(pool->Resolve(unit, 0, 65536) == pool->arena()->base() + (size_t{unit} * 4096));
  CHECK(pool->Resolve(unit, 4096, 61440) == pool->SlabData(unit) + 4096);
  CHECK(pool->Resolve(unit, 65536, 0) != nullptr);
  CHECK(pool->Resolve(unit, 1, 65536) == nullptr);
  CHECK(pool->Resolve(unit, SIZE_MAX, 2) == nullptr);
  CHECK(pool->Resolve(unit, 2, SIZE_MAX) == nullptr);
  CHECK(pool->Resolve(unit + 1, 0, 4096) == nullptr);
  const uint32_t large = pool->AcquireLarge(3 * kMiB + 1);
  REQUIRE(large != kNoSlab);
  CHECK(pool->IsLarge(large));
  CHECK_FALSE(pool->IsLarge(unit));
  CHECK(pool->Resolve(large, 0, 3 * kMiB + 4096) != nullptr);
  CHECK(pool->Resolve(large, 1, 3 * kMiB + 4096) == nullptr);
  CHECK(pool->Resolve(large + 512, 0, 1) == nullptr);  // inside it, but not its name
  CHECK(pool->Resolve(large + 1, 0, 1) == nullptr);
  for (const uint32_t other : {0U, 512U, 1023U, large - 1, large + 4096, kNoSlab}) {
    CAPTURE(other);
    CHECK(pool->Resolve(other, 0, 0) == nullptr);
    CHECK_FALSE(pool->IsLeased(other));
  }
  CHECK(pool->ReleaseMany(slab) == 1);
  CHECK(pool->ReleaseLarge(large));
  CHECK(pool->Resolve(unit, 0, 1) == nullptr);
  CHECK(pool->Resolve(large, 0, 1) == nullptr);
}

TEST_CASE("BufferPool: releasing what is not leased changes nothing, and is counted") {
  const auto pool = MakePool({kMiB}, {4096, 65536}, 4 * kMiB);
  Magazine magazine(pool, 0);
  const uint32_t unit = magazine.Acquire(1);
  const uint32_t large = pool->AcquireLarge(kMiB);
  const std::array<uint32_t, 7> units{unit, unit, unit + 1, large, 0x7fffffff, kNoSlab, 300};
  CHECK(pool->ReleaseMany(units) == 1);
  CHECK(pool->Stats().refused == 6);
  CHECK_FALSE(magazine.Release(unit));
  CHECK_FALSE(magazine.Release(large));
  CHECK_FALSE(pool->ReleaseLarge(unit));
  CHECK_FALSE(pool->ReleaseLarge(large + 1));
  CHECK(pool->ReleaseLarge(large));
  CHECK_FALSE(pool->ReleaseLarge(large));
  CHECK(pool->Stats().refused == 11);
  CHECK(pool->Stats().parts[0].classes[1].out == 0);
  magazine.Flush();
  CHECK(AcquireAll(*pool, 0).size() == 256);  // and no slab was given out twice
}

TEST_CASE("BufferPool: another part helps out, one slab at a time, and gets its slabs back") {
  const auto pool = MakePool({2 * kMiB, 2 * kMiB}, {4096, 8192});
  Magazine magazine(pool, 0);
  std::vector<uint32_t> units;
  for (uint32_t unit = magazine.Acquire(0); unit != kNoSlab; unit = magazine.Acquire(0)) {
    units.push_back(unit);
  }
  CHECK(units.size() == 1024);
  PoolStats stats = pool->Stats();
  CHECK(stats.parts[0].classes[0].out == 512);
  CHECK(stats.parts[1].classes[0].out == 512);
  CHECK(stats.parts[0].classes[0].remote == 512);
  CHECK(stats.parts[0].classes[0].acquired == 1024);
  CHECK(stats.parts[0].classes[0].misses == 1);
  for (const uint32_t unit : units) REQUIRE(magazine.Release(unit));
  CHECK(magazine.Held(0) <= magazine.Capacity(0));
  CHECK(AcquireAll(*pool, 1, 1).size() == 512 - magazine.Held(0) / 2 - magazine.Held(0) % 2);
}

TEST_CASE("BufferPool: magazines are small, and give everything back") {
  const auto pool = MakePool({16 * kMiB}, {4096, 65536, 1U << 20, 4U << 20});
  {
    Magazine magazine(pool, 0);
    CHECK(magazine.Capacity(0) == 64);
    CHECK(magazine.Capacity(1) == 16);
    CHECK(magazine.Capacity(2) == 1);
    CHECK(magazine.Capacity(3) == 1);
    std::vector<uint32_t> units;
    for (int i = 0; i < 500; ++i) units.push_back(magazine.Acquire(0));
    for (const uint32_t unit : units) REQUIRE(magazine.Release(unit));
    CHECK(magazine.Held(0) <= 64);
    CHECK(magazine.Held(0) > 0);
    CHECK(pool->Stats().parts[0].classes[0].acquired == 500);
  }
  CHECK(pool->Stats().parts[0].classes[0].acquired == 500);  // of magazines that are gone as well
  CHECK(pool->Stats().parts[0].classes[0].out == 0);
  CHECK(AcquireAll(*pool, 3).size() == 4);
}

TEST_CASE("BufferPool: a magazine of one class does not keep a thread from memory for another") {
  const auto pool = MakePool({kMiB}, {4096, 1U << 20});
  Magazine magazine(pool, 0);
  const uint32_t small = magazine.Acquire(0);
  CHECK(magazine.Acquire(1) == kNoSlab);
  CHECK(magazine.Release(small));
  CHECK(magazine.Acquire(1) != kNoSlab);
}

TEST_CASE(
    "BufferPool: what is released after a miss can be had at once, by another thread's magazine") {
  const auto pool = MakePool({kMiB}, {4096, 8192});
  Magazine one(pool, 0);
  Magazine other(pool, 0);
  std::vector<uint32_t> units;
  for (uint32_t unit = one.Acquire(0); unit != kNoSlab; unit = one.Acquire(0)) {
    units.push_back(unit);
  }
  REQUIRE(units.size() == 256);
  for (int round = 0; round < 100; ++round) {
    REQUIRE(other.Acquire(0) == kNoSlab);
    REQUIRE(one.Release(units.back()));  // does not stay in its magazine
    units.back() = other.Acquire(0);
    REQUIRE(units.back() != kNoSlab);
  }
  // Without a miss it stays.
  REQUIRE(one.Release(units[0]));
  CHECK(one.Held(0) > 0);
}

TEST_CASE("BufferPool: trimming gives free memory back once, and leaves leases alone") {
  for (const HugePages huge_pages : {HugePages::kOff, HugePages::kAuto}) {
    const auto pool = MakePool({8 * kMiB, 32 * kMiB}, {4096, 65536, 1U << 20}, 0, huge_pages);
    const PartInfo& part = pool->arena()->parts()[1];
    if (part.pages == PageKind::kHugetlb) {
      std::printf("SKIPPED: this machine's hugetlb pages are taken, and never given back\n");
      return;
    }
    uint8_t* const memory = pool->arena()->base() + part.offset;
    std::vector<uint32_t> units(4);
    REQUIRE(pool->AcquireMany(1, 1, units) == 4);  // 256 KiB: part of one huge page
    for (const uint32_t unit : units) test::Stamp(pool->SlabData(unit), 65536, unit);
    const size_t kept = part.pages == PageKind::kPlain ? kMiB / 4 : 2 * kMiB;
    CHECK(pool->Trim() == 40 * kMiB - kept);
    CHECK(test::ResidentBytes(memory, part.bytes) == kept);
    for (const uint32_t unit : units) CHECK(test::HasStamp(pool->SlabData(unit), 65536, unit));
    CHECK(pool->Trim() == 0);
    CHECK(pool->Stats().trimmed_bytes == 40 * kMiB - kept);

    // What was used meanwhile is given back again, and no more than that.
    std::vector<uint32_t> used(3);
    REQUIRE(pool->AcquireMany(2, 1, used) == 3);
    for (const uint32_t unit : used) test::Stamp(pool->SlabData(unit), kMiB, unit);
    CHECK(pool->ReleaseMany(used) == 3);
    // In huge pages, one of the three shares a page with what is leased.
    CHECK(pool->Trim() == (part.pages == PageKind::kPlain ? 3 : 2) * kMiB);
    CHECK(test::ResidentBytes(memory, part.bytes) == kept);

    CHECK(pool->ReleaseMany(units) == 4);
    CHECK(pool->Trim() == kept);
    CHECK(test::ResidentBytes(memory, part.bytes) == 0);
    CHECK(AcquireAll(*pool, 2).size() == 40);
  }
}

TEST_CASE("BufferPool: large leases have memory only as long as they last") {
  const auto pool = MakePool({kMiB}, {4096}, 64 * kMiB);
  uint8_t* const room = pool->arena()->base() + pool->arena()->large_offset();
  const uint32_t unit = pool->AcquireLarge(5 * kMiB);
  REQUIRE(unit != kNoSlab);
  uint8_t* const view = pool->SlabData(unit);
  CHECK(test::ResidentBytes(room, 64 * kMiB) == 0);
  test::Stamp(view, 5 * kMiB, 1);
  CHECK(test::ResidentBytes(room, 64 * kMiB) == 5 * kMiB);
  PoolStats stats = pool->Stats();
  CHECK(stats.large.bytes_out == 5 * kMiB);
  CHECK(stats.large.out == 1);
  CHECK(pool->ReleaseLarge(unit));
  CHECK(test::ResidentBytes(room, 64 * kMiB) == 0);
  CHECK(view[0] == 0);  // a view that outlives its lease reads, and writes
  view[0] = 1;
  stats = pool->Stats();
  CHECK(stats.large.bytes_out == 0);
  CHECK(stats.large.high_water_bytes == 5 * kMiB);
  CHECK(stats.large.acquired == 1);
  CHECK(stats.large.kept == 0);
}

TEST_CASE("BufferPool: the room for large leases is bounded, and joins again") {
  const auto pool = MakePool({kMiB}, {4096}, 16 * kMiB);
  CHECK(pool->AcquireLarge(0) == kNoSlab);
  CHECK(pool->AcquireLarge(16 * kMiB + 1) == kNoSlab);
  CHECK(pool->AcquireLarge(SIZE_MAX) == kNoSlab);
  std::set<uint32_t> units;
  for (int i = 0; i < 8; ++i) units.insert(pool->AcquireLarge(2 * kMiB));
  CHECK(units.size() == 8);
  CHECK(pool->AcquireLarge(1) == kNoSlab);
  CHECK(pool->Stats().large.misses == 4);
  for (const uint32_t unit : units) CHECK(pool->ReleaseLarge(unit));
  CHECK(pool->AcquireLarge(16 * kMiB) != kNoSlab);
  const auto none = MakePool({kMiB}, {4096});
  CHECK(none->AcquireLarge(4096) == kNoSlab);
  CHECK_FALSE(none->ReleaseLarge(0));
}

TEST_CASE("BufferPool: only the last buffer of a unit is told of, and once") {
  const auto pool = MakePool({kMiB}, {4096}, 4 * kMiB);
  std::array<uint32_t, 1> slab{};
  REQUIRE(pool->AcquireMany(0, 0, slab) == 1);
  for (const uint32_t unit : {slab[0], pool->AcquireLarge(kMiB)}) {
    const uint32_t first = pool->NextBufferGeneration(unit);
    const uint32_t second = pool->NextBufferGeneration(unit);
    CHECK(second != first);
    pool->NoteForgotten({unit, first});
    CHECK(pool->TakeForgotten().empty());
    pool->NoteForgotten({unit, second});
    pool->NoteForgotten({unit, second});
    const std::vector<BufferPool::Forgotten> forgotten = pool->TakeForgotten();
    REQUIRE(forgotten.size() == 1);
    CHECK(forgotten[0].unit == unit);
    CHECK(forgotten[0].generation == second);
    CHECK(pool->TakeForgotten().empty());
    pool->NoteForgotten({unit, second});  // whoever cannot decide yet puts it back
    CHECK(pool->TakeForgotten().size() == 1);
  }
  for (const uint32_t unit : {kNoSlab, slab[0] + 1, 600U}) pool->NoteForgotten({unit, 0});
  CHECK(pool->TakeForgotten().empty());
}

TEST_CASE("BufferPool: a buffer is told of although one before it of the same unit was noted") {
  const auto pool = MakePool({kMiB}, {4096});
  std::array<uint32_t, 1> slab{};
  REQUIRE(pool->AcquireMany(0, 0, slab) == 1);
  pool->NoteForgotten({slab[0], pool->NextBufferGeneration(slab[0])});  // and nobody asks
  const uint32_t second = pool->NextBufferGeneration(slab[0]);
  SUBCASE("and is the only one") {
    pool->NoteForgotten({slab[0], second});
    const std::vector<BufferPool::Forgotten> forgotten = pool->TakeForgotten();
    REQUIRE(forgotten.size() == 1);
    CHECK(forgotten[0].unit == slab[0]);
    CHECK(forgotten[0].generation == second);
  }
  SUBCASE("and not before it is gone") { CHECK(pool->TakeForgotten().empty()); }
  CHECK(pool->TakeForgotten().empty());
}

TEST_CASE("BufferPool: as many parts as their numbers allow") {
  const auto pool = MakePool(std::vector<size_t>(BufferPool::kMaxParts, 4096), {4096});
  REQUIRE(pool != nullptr);
  std::array<uint32_t, 1> slab{};
  REQUIRE(pool->AcquireMany(0, BufferPool::kMaxParts - 1, slab) == 1);
  CHECK(pool->PartOf(slab[0]) == BufferPool::kMaxParts - 1);
}

}  // namespace ringbolt
