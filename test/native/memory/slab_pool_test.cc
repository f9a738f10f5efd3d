// Shows that slabs never overlap, that nothing outside a leased slab resolves, that chunks move
// between classes, and that only the last ArrayBuffer of a slab can reclaim it. Single-threaded, as
// the pool is.

#include "memory/slab_pool.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

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
      const uint32_t bytes = classes[slab_class];
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
  for (uint32_t i = 0; i < classes.size(); ++i) in_use += pool->ClassStats(i).in_use;
  CHECK(in_use == leased.size());
  // Nothing is lost: with all released, the largest class gets the whole arena.
  for (const auto& [unit, bytes] : leased) CHECK(pool->Release(unit));
  for (int i = 0; i < 4; ++i) CHECK(pool->Acquire(3) != kNoSlab);
}

}  // namespace ringbolt
