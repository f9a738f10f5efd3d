// Shows that slabs never overlap, that nothing outside a leased slab resolves, that chunks move
// between classes, that slabs stand in for each other, and that only the last ArrayBuffer of a slab
// can reclaim it. Single-threaded, as the pool is; only Resolve() is any thread's.

#include "memory/slab_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "support/seed.h"

namespace ringbolt {

namespace {

std::shared_ptr<SlabPool> MakePool(size_t bytes, const std::vector<uint32_t>& classes) {
  std::shared_ptr<Arena> arena;
  REQUIRE(Arena::Create({.bytes = bytes, .huge_pages = false}, &arena).ok());
  return std::make_shared<SlabPool>(std::move(arena), classes);
}

}  // namespace

TEST_CASE("SlabPool: one class may use the whole arena, and then it is exhausted") {
  const auto pool = MakePool(1 << 20, {4096, 65536});
  std::vector<uint32_t> units;
  for (uint32_t unit = pool->Acquire(0); unit != kNoSlab; unit = pool->Acquire(0)) {
    units.push_back(unit);
  }
  CHECK(units.size() == 256);
  CHECK(pool->Acquire(1) == kNoSlab);
  CHECK(pool->ClassStats(0).in_use == 256);
  CHECK(pool->ClassStats(0).misses == 1);
  CHECK(pool->ClassStats(1).misses == 1);
}

TEST_CASE("SlabPool: chunks that one class does not need any more serve another") {
  const auto pool = MakePool(1 << 20, {4096, 1U << 20});
  std::vector<uint32_t> small;
  for (int i = 0; i < 256; ++i) small.push_back(pool->Acquire(0));
  CHECK(pool->Acquire(1) == kNoSlab);
  for (const uint32_t unit : small) CHECK(pool->Release(unit));
  const uint32_t large = pool->Acquire(1);
  REQUIRE(large != kNoSlab);
  CHECK(pool->SlabBytes(large) == 1U << 20);
  CHECK(pool->Acquire(0) == kNoSlab);
  CHECK(pool->ClassStats(0).capacity == 0);
}

TEST_CASE("SlabPool: a larger slab stands in where a class has none, the nearest first") {
  const auto pool = MakePool(2 << 20, {4096, 8192, 65536, 1U << 20});
  REQUIRE(pool->Acquire(2) != kNoSlab);
  REQUIRE(pool->Acquire(1) != kNoSlab);  // both chunks have a class now
  const uint32_t unit = pool->Acquire(0);
  REQUIRE(unit != kNoSlab);
  CHECK(pool->SlabBytes(unit) == 8192);
  CHECK(pool->ClassStats(0).substituted == 1);
  CHECK(pool->ClassStats(0).misses == 0);
  CHECK(pool->ClassStats(1).in_use == 2);
  CHECK(pool->Release(unit));
  CHECK(pool->ClassStats(1).in_use == 1);
}

TEST_CASE("SlabPool: free neighbours are joined where nothing larger is free, and fall apart") {
  const auto pool = MakePool(1 << 20, {4096, 8192, 16384, 1U << 20});
  std::vector<uint32_t> small;
  for (int i = 0; i < 256; ++i) small.push_back(pool->Acquire(0));
  // Two neighbours that are not aligned, and two that are.
  for (const uint32_t unit : {1U, 2U, 6U, 7U}) REQUIRE(pool->Release(small[unit]));
  const uint32_t joined = pool->Acquire(1);
  REQUIRE(joined == small[6]);
  CHECK(pool->SlabBytes(joined) == 8192);
  CHECK(pool->Resolve(joined, 0, 8192) != nullptr);
  CHECK(pool->Resolve(joined, 0, 8193) == nullptr);
  CHECK(pool->Resolve(joined + 1, 0, 4096) == nullptr);  // its second half has no name
  CHECK_FALSE(pool->Release(joined + 1));
  CHECK(pool->ClassStats(0).capacity == 254);
  CHECK(pool->ClassStats(1).capacity == 1);
  CHECK(pool->Acquire(1) == kNoSlab);
  CHECK(pool->ClassStats(1).misses == 1);

  // What lies inside the joined slab is not handed out.
  std::vector<uint32_t> rest;
  for (uint32_t unit = pool->Acquire(0); unit != kNoSlab; unit = pool->Acquire(0)) {
    rest.push_back(unit);
  }
  CHECK(rest.size() == 2);
  REQUIRE(pool->Release(joined));
  CHECK_FALSE(pool->Release(joined));
  CHECK(pool->ClassStats(0).capacity == 256);
  CHECK(pool->ClassStats(1).capacity == 0);
  CHECK(pool->Acquire(0) == joined);
  CHECK(pool->Acquire(0) == joined + 1);
  CHECK(pool->Acquire(0) == kNoSlab);
}

TEST_CASE("SlabPool: queues may resolve whatever they like while slabs are joined and fall apart") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  const auto pool = MakePool(1 << 20, {4096, 8192, 65536, 1U << 20});
  const uint8_t* const begin = pool->arena()->base();
  std::atomic<bool> over{false};
  std::atomic<uint64_t> outside{0};
  std::thread queue([&, random = std::mt19937_64(seed)]() mutable {
    while (!over.load(std::memory_order_relaxed)) {
      const auto unit = static_cast<uint32_t>(random() % 300);
      const auto length = static_cast<uint32_t>(random() % 70'000);
      const uint8_t* data = pool->Resolve(unit, 0, length);
      if (data == nullptr) continue;
      if (data < begin || data + length > begin + (1 << 20)) ++outside;
    }
  });
  std::mt19937_64 random(seed + 1);
  std::vector<uint32_t> leased;
  for (int step = 0; step < 100'000; ++step) {
    const uint32_t unit = pool->Acquire(static_cast<uint32_t>(random() % 3));
    if (unit != kNoSlab) leased.push_back(unit);
    if (unit != kNoSlab && leased.size() < 20) continue;
    const size_t chosen = random() % leased.size();
    CHECK(pool->Release(leased[chosen]));
    leased[chosen] = leased.back();
    leased.pop_back();
  }
  over = true;
  queue.join();
  CHECK(outside == 0);
}

TEST_CASE("SlabPool: nothing but the inside of a leased slab resolves") {
  const auto pool = MakePool(1 << 20, {4096, 65536});
  const uint32_t unit = pool->Acquire(1);
  CHECK(pool->Resolve(unit, 0, 65536) == pool->SlabData(unit));
  CHECK(pool->Resolve(unit, 4096, 61440) == pool->SlabData(unit) + 4096);
  CHECK(pool->Resolve(unit, 1, 65536) == nullptr);
  CHECK(pool->Resolve(unit, UINT32_MAX, 2) == nullptr);
  CHECK(pool->Resolve(unit, 0, UINT32_MAX) == nullptr);
  CHECK(pool->Resolve(unit + 1, 0, 4096) == nullptr);  // inside the slab, but not its name
  CHECK(pool->Resolve(256, 0, 1) == nullptr);
  CHECK(pool->Resolve(kNoSlab, 0, 1) == nullptr);
  CHECK(pool->Release(unit));
  CHECK(pool->Resolve(unit, 0, 1) == nullptr);
}

TEST_CASE("SlabPool: releasing what is not leased changes nothing") {
  const auto pool = MakePool(1 << 20, {4096});
  const uint32_t unit = pool->Acquire(0);
  CHECK(pool->Release(unit));
  CHECK_FALSE(pool->Release(unit));
  CHECK_FALSE(pool->Release(kNoSlab));
  CHECK_FALSE(pool->Release(256));
  CHECK(pool->ClassStats(0).in_use == 0);
}

TEST_CASE("SlabPool: a forgotten lease is reclaimed through its last buffer only") {
  const auto pool = MakePool(1 << 20, {4096});
  const uint32_t unit = pool->Acquire(0);
  const uint32_t first = pool->NextBufferGeneration(unit);
  CHECK(pool->Release(unit));
  pool->NoteForgotten({unit, first});  // not leased: nothing to take back
  REQUIRE(pool->Acquire(0) == unit);   // last in, first out
  const uint32_t second = pool->NextBufferGeneration(unit);
  pool->NoteForgotten({unit, first});
  CHECK(pool->TakeForgotten().empty());
  CHECK_FALSE(pool->Reclaim({unit, first}));
  CHECK(pool->IsLeased(unit));
  pool->NoteForgotten({unit, second});
  const auto forgotten = pool->TakeForgotten();
  REQUIRE(forgotten.size() == 1);
  CHECK(pool->TakeForgotten().empty());  // each is told once
  CHECK(pool->IsLeased(unit));           // until the lease's side has answered
  CHECK(pool->Reclaim(forgotten[0]));
  CHECK_FALSE(pool->IsLeased(unit));
  CHECK_FALSE(pool->Reclaim(forgotten[0]));
  CHECK_FALSE(pool->Reclaim({kNoSlab, 1}));
  CHECK(pool->leaked() == 1);
}

TEST_CASE("SlabPool: random use agrees with a model, and leased slabs never overlap") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const std::vector<uint32_t> classes{4096, 8192, 65536, 262144};
  const auto pool = MakePool(1 << 20, classes);
  std::map<uint32_t, uint32_t> leased;  // unit -> bytes
  for (int step = 0; step < 200'000; ++step) {
    if (random() % 2 == 0) {
      const auto slab_class = static_cast<uint32_t>(random() % classes.size());
      const uint32_t unit = pool->Acquire(slab_class);
      if (unit == kNoSlab) continue;
      const uint32_t bytes = pool->SlabBytes(unit);
      REQUIRE(bytes >= classes[slab_class]);
      REQUIRE(unit % (bytes / 4096) == 0);
      const auto next = leased.lower_bound(unit);
      if (next != leased.end()) REQUIRE(unit + (bytes / 4096) <= next->first);
      if (next != leased.begin()) {
        const auto previous = std::prev(next);
        REQUIRE(previous->first + (previous->second / 4096) <= unit);
      }
      REQUIRE((uint64_t{unit} * 4096) + bytes <= (1U << 20));
      leased[unit] = bytes;
    } else if (!leased.empty()) {
      auto chosen = leased.lower_bound(static_cast<uint32_t>(random() % 256));
      if (chosen == leased.end()) chosen = leased.begin();
      REQUIRE(pool->SlabBytes(chosen->first) == chosen->second);
      REQUIRE(pool->Release(chosen->first));
      leased.erase(chosen);
    }
  }
  uint32_t in_use = 0;
  uint64_t capacity_bytes = 0;
  uint64_t substituted = 0;
  for (uint32_t i = 0; i < classes.size(); ++i) {
    const SlabClassStats stats = pool->ClassStats(i);
    in_use += stats.in_use;
    capacity_bytes += uint64_t{stats.capacity} * stats.slab_bytes;
    substituted += stats.substituted;
  }
  CHECK(in_use == leased.size());
  CHECK(capacity_bytes == 1U << 20);
  CHECK(substituted > 0);
  // Nothing is lost: with all released, the largest class gets the whole arena.
  for (const auto& [unit, bytes] : leased) CHECK(pool->Release(unit));
  for (int i = 0; i < 4; ++i) CHECK(pool->Acquire(3) != kNoSlab);
}

}  // namespace ringbolt
