// Shows that a pool keeps its promises while many threads use it at once: each slab belongs to one
// thread at a time and keeps what that wrote, nothing is lost, and trimming takes no memory away
// from those who ask meanwhile. What is wrong is counted by the threads and judged by the test.

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "memory/buffer_pool.h"
#include "memory/magazine.h"
#include "memory/pool_fixture.h"
#include "memory/shared_list.h"
#include "support/seed.h"

namespace ringbolt {

using test::kMiB;
using test::MakePool;

namespace {

// Threads that begin together.
class Threads {
 public:
  template <typename Body>
  void Add(Body body) {
    threads_.emplace_back([this, body]() mutable {
      while (!go_.load(std::memory_order_acquire)) std::this_thread::yield();
      body();
    });
  }
  void Run() {
    go_.store(true, std::memory_order_release);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    go_.store(false, std::memory_order_release);
  }

 private:
  std::atomic<bool> go_{false};
  std::vector<std::thread> threads_;
};

// One of eight: takes slabs, writes to them, finds them as they were, and gives them back or leaves
// them to others.
struct Worker {
  std::shared_ptr<BufferPool> pool;
  std::array<std::atomic<uint32_t>, 32>* exchange;  // slabs on their way to another thread
  std::atomic<uint64_t>* wrong;
  uint64_t seed;
  uint64_t steps;

  // A slab's own unit and size, so that whoever releases it can check.
  static uint64_t StampOf(uint32_t unit, size_t bytes) { return (uint64_t{unit} << 32) | bytes; }

  void Give(Magazine& magazine, uint32_t unit) const {
    const size_t bytes = pool->LeasedBytes(unit);
    if (!test::HasStamp(pool->SlabData(unit), bytes, StampOf(unit, bytes))) ++*wrong;
    test::Stamp(pool->SlabData(unit), bytes, 0);
    if (!magazine.Release(unit)) ++*wrong;
  }

  void Take(std::vector<uint32_t>& mine, uint32_t unit) const {
    const size_t bytes = pool->LeasedBytes(unit);
    test::Stamp(pool->SlabData(unit), bytes, StampOf(unit, bytes));
    mine.push_back(unit);
  }

  void operator()() const {
    std::mt19937_64 random(seed);
    Magazine magazine(pool, static_cast<uint32_t>(random() % pool->part_count()));
    std::vector<uint32_t> mine;
    for (uint64_t step = 0; step < steps; ++step) {
      const uint64_t choice = random() % 100;
      const auto slab_class = static_cast<uint32_t>(random() % pool->class_count());
      if (choice < 45) {
        const uint32_t unit = magazine.Acquire(slab_class);
        if (unit != kNoSlab) Take(mine, unit);
      } else if (choice < 48) {
        std::array<uint32_t, 20> units{};
        const uint32_t count = pool->AcquireMany(slab_class, magazine.part(), units);
        for (uint32_t i = 0; i < count; ++i) Take(mine, units[i]);
      } else if (choice < 60 && !mine.empty()) {
        std::swap(mine[random() % mine.size()], mine.back());
        const uint32_t other = (*exchange)[random() % exchange->size()].exchange(mine.back());
        mine.pop_back();
        if (other != kNoSlab) mine.push_back(other);
      } else if (choice == 60) {
        magazine.Flush();
      } else if (!mine.empty()) {
        std::swap(mine[random() % mine.size()], mine.back());
        Give(magazine, mine.back());
        mine.pop_back();
      }
      if (mine.size() > 40) {
        Give(magazine, mine.back());
        mine.pop_back();
      }
    }
    for (const uint32_t unit : mine) Give(magazine, unit);
  }
};

}  // namespace

TEST_CASE("BufferPool: slabs of eight threads keep what was written to them, and none is lost") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  // Little memory, so that they run out of it all the time.
  const auto pool = MakePool({2 * kMiB, kMiB}, {4096, 8192, 32768, 131072});
  REQUIRE(pool != nullptr);
  std::array<std::atomic<uint32_t>, 32> exchange;
  for (auto& place : exchange) place.store(kNoSlab);
  std::atomic<uint64_t> wrong{0};
  std::atomic<uint32_t> working{8};
  Threads threads;
  for (uint64_t i = 0; i < 8; ++i) {
    const Worker worker{pool, &exchange, &wrong, seed + i, test::Steps(1'600'000) / 8};
    threads.Add([worker, &working] {
      worker();
      --working;
    });
  }
  threads.Add([&] {
    while (working.load() > 0) {
      (void)pool->Trim();
      const PoolStats stats = pool->Stats();
      for (const PoolPartStats& part : stats.parts) {
        if (part.uncut_bytes > part.bytes) ++wrong;
      }
    }
  });
  threads.Run();
  CHECK(wrong == 0);
  for (auto& place : exchange) {
    const uint32_t unit = place.load();
    if (unit != kNoSlab) CHECK(pool->ReleaseMany({&unit, 1}) == 1);
  }
  const PoolStats stats = pool->Stats();
  CHECK(stats.refused == 0);
  uint64_t acquired = 0;
  for (const PoolPartStats& part : stats.parts) {
    for (const PoolClassStats& of_class : part.classes) {
      CHECK(of_class.out == 0);
      acquired += of_class.acquired;
    }
  }
  CHECK(acquired > 0);
  CHECK(test::AcquireAll(*pool, 3).size() == 24);
}

TEST_CASE("SharedList: a slab that comes back while another thread is popping confuses nobody") {
  constexpr uint32_t kUnits = 6;  // so few that the same is on top again and again
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::vector<std::atomic<uint32_t>> links(kUnits);
  std::array<std::atomic<bool>, kUnits> owned;
  SharedList list;
  for (uint32_t unit = 0; unit < kUnits; ++unit) {
    owned[unit].store(false);
    list.Push(links, {&unit, 1});
  }
  std::atomic<uint64_t> twice{0};
  std::atomic<uint64_t> popped{0};
  const uint64_t steps = test::Steps(2'000'000) / 4;
  Threads threads;
  for (uint64_t i = 0; i < 4; ++i) {
    threads.Add([&, random = std::mt19937_64(seed + i)]() mutable {
      std::array<uint32_t, 3> units{};
      for (uint64_t step = 0; step < steps; ++step) {
        std::array<uint32_t, kUnits> all{};
        uint32_t count = 0;
        if (random() % 64 == 0) {
          // In a list gone wrong they may go round.
          for (uint32_t unit = list.TakeAll(); unit != SharedList::kNone && count <= kUnits;) {
            all[count++ % kUnits] = unit;
            unit = links[unit].load(std::memory_order_relaxed);
          }
        } else {
          count = list.Pop(links, std::span(units).first(1 + (random() % units.size())));
          std::copy_n(units.begin(), count, all.begin());
        }
        if (count > kUnits) ++twice;
        count = std::min(count, kUnits);
        popped += count;
        for (uint32_t j = 0; j < count; ++j) {
          if (owned[all[j]].exchange(true, std::memory_order_relaxed)) ++twice;
        }
        // In another order, and in two pieces.
        std::shuffle(all.begin(), all.begin() + count, random);
        for (uint32_t j = 0; j < count; ++j) owned[all[j]].store(false, std::memory_order_relaxed);
        const auto half = static_cast<uint32_t>(random() % (count + 1));
        list.Push(links, std::span(all).first(half));
        list.Push(links, std::span(all).subspan(half, count - half));
      }
    });
  }
  threads.Run();
  CHECK(twice == 0);
  CHECK(popped > 0);
  std::array<uint32_t, kUnits + 1> rest{};
  REQUIRE(list.Pop(links, rest) == kUnits);
  std::sort(rest.begin(), rest.begin() + kUnits);
  for (uint32_t unit = 0; unit < kUnits; ++unit) CHECK(rest[unit] == unit);
}

TEST_CASE("BufferPool: of two threads that release the same lease in the same moment, one does") {
  constexpr uint32_t kRounds = 200;
  constexpr uint32_t kLeases = 128;
  const auto pool = MakePool({kMiB}, {4096}, 4 * kMiB);
  REQUIRE(pool != nullptr);
  std::array<uint32_t, kLeases> slabs{};
  std::atomic<uint32_t> arrived{0};
  std::atomic<uint32_t> released{0};
  Threads threads;
  for (const bool leader : {true, false}) {
    threads.Add([&, leader] {
      Magazine magazine(pool, 0);
      uint32_t meetings = 0;
      // Both go on as closely together as can be.
      const auto meet = [&] {
        arrived.fetch_add(1);
        ++meetings;
        for (uint32_t spins = 1; arrived.load() < 2 * meetings; ++spins) {
          if (spins % 1000 == 0) std::this_thread::yield();
        }
      };
      uint32_t mine = 0;
      for (uint32_t round = 0; round < kRounds; ++round) {
        if (leader) slabs.fill(kNoSlab);
        if (leader) (void)pool->AcquireMany(0, 0, slabs);
        for (uint32_t lease = 0; lease < kLeases; ++lease) {
          meet();
          mine += magazine.Release(slabs[lease]) ? 1 : 0;
        }
        const uint32_t large = pool->arena()->large_offset() / kSlabUnitBytes;
        meet();
        if (leader && pool->AcquireLarge(4096) != large) mine += 1'000'000;
        meet();
        mine += pool->ReleaseLarge(large) ? 1 : 0;
        meet();
      }
      released += mine;
    });
  }
  threads.Run();
  CHECK(released == kRounds * (kLeases + 1));
  CHECK(pool->Stats().refused == kRounds * (kLeases + 1));
  CHECK(test::AcquireAll(*pool, 0).size() == 256);
}

TEST_CASE("BufferPool: memory that is being trimmed is waited for, not missed") {
  const auto pool = MakePool({kMiB}, {4096, 1U << 20});
  REQUIRE(pool != nullptr);
  std::atomic<bool> over{false};
  std::atomic<uint64_t> misses{0};
  std::atomic<size_t> trimmed{0};
  Threads threads;
  threads.Add([&] {
    while (!over.load()) trimmed += pool->Trim();
  });
  threads.Add([&] {
    // Until it has met the other often enough; each time all of the memory is needed.
    for (int i = 0; i < 1'000'000 && trimmed.load() < 64 * kMiB; ++i) {
      std::array<uint32_t, 1> unit{};
      if (pool->AcquireMany(1, 0, unit) != 1) {
        ++misses;
        continue;
      }
      test::Stamp(pool->SlabData(unit[0]), kMiB, 1);
      if (pool->ReleaseMany(unit) != 1) ++misses;
    }
    over = true;
  });
  threads.Run();
  CHECK(misses == 0);
  CHECK(trimmed > 0);
}

TEST_CASE("BufferPool: who asks in vain waits for a step of a trim, and not for all of it") {
  constexpr uint32_t kSteps = 16;
  constexpr size_t kStepBytes = 8 * kMiB;
  constexpr uint32_t kTrims = 20;
  const auto pool = MakePool({kSteps * kStepBytes}, {4096, 1U << 20});
  REQUIRE(pool != nullptr);
  uint8_t* const base = pool->arena()->base();
  // Of each step: whether its first page is still there.
  const auto steps_left = [&] {
    uint32_t left = 0;
    for (uint32_t step = 0; step < kSteps; ++step) {
      unsigned char resident = 0;
      (void)mincore(base + (step * kStepBytes), 4096, &resident);
      left += resident & 1;
    }
    return left;
  };
  std::vector<uint32_t> units = test::AcquireAll(*pool, 0);
  REQUIRE(units.size() == kSteps * kStepBytes / 4096);
  uint32_t waits = 0;
  uint32_t steps_waited = 0;
  // A wait seems to be longer than it was if this thread does not run between two looks at it. So
  // on a busy machine it may take more than one attempt.
  for (uint32_t attempt = 0; attempt < 10; ++attempt) {
    waits = 0;
    steps_waited = 0;
    std::atomic<bool> over{false};
    std::atomic<bool> trimming{false};
    Threads threads;
    threads.Add([&] {
      for (uint32_t trim = 0; trim < kTrims; ++trim) {
        // Every other page is free: much to do in each step, and nowhere a large slab.
        std::vector<uint32_t> freed;
        for (uint32_t unit = 0; unit < units.size(); unit += 2) freed.push_back(unit);
        for (uint32_t step = 0; step < kSteps; ++step) base[step * kStepBytes] = 1;
        (void)pool->ReleaseMany(freed);
        trimming = true;
        (void)pool->Trim();
        trimming = false;
        (void)pool->AcquireMany(0, 0, freed);
      }
      over = true;
    });
    threads.Add([&] {
      while (!over) {
        if (!trimming) continue;
        const uint32_t before = steps_left();
        std::array<uint32_t, 1> unit{};
        (void)pool->AcquireMany(1, 0, unit);
        const uint32_t after = steps_left();
        if (after >= before) continue;
        ++waits;
        steps_waited += before - after;
      }
    });
    threads.Run();
    if (steps_waited <= 3 * waits) break;
  }
  CAPTURE(waits);
  CHECK(steps_waited <= 3 * waits);
}

TEST_CASE("BufferPool: any thread may resolve whatever it likes while slabs come and go") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  const auto pool = MakePool({kMiB, kMiB}, {4096, 8192, 65536}, 8 * kMiB);
  REQUIRE(pool != nullptr);
  const uint8_t* const begin = pool->arena()->base();
  const uint8_t* const end = begin + pool->arena()->bytes();
  std::atomic<bool> over{false};
  std::atomic<uint64_t> outside{0};
  Threads threads;
  threads.Add([&, random = std::mt19937_64(seed)]() mutable {
    while (!over.load(std::memory_order_relaxed)) {
      const auto unit = static_cast<uint32_t>(random() % 4000);
      const size_t offset = random() % 70'000;
      const size_t length = random() % 70'000;
      const uint8_t* data = pool->Resolve(unit, offset, length);
      if (data == nullptr) continue;
      if (data < begin || data + length > end) ++outside;
      (void)*static_cast<const volatile uint8_t*>(data == end ? begin : data);
    }
  });
  threads.Add([&, random = std::mt19937_64(seed + 1)]() mutable {
    Magazine magazine(pool, 0);
    std::vector<uint32_t> leased;
    for (uint64_t step = 0; step < test::Steps(100'000); ++step) {
      const uint32_t unit = magazine.Acquire(static_cast<uint32_t>(random() % 3));
      if (unit != kNoSlab) leased.push_back(unit);
      if (unit != kNoSlab && leased.size() < 20) continue;
      std::swap(leased[random() % leased.size()], leased.back());
      if (!magazine.Release(leased.back())) ++outside;
      leased.pop_back();
      if (step % 100 == 0) {
        const uint32_t large = pool->AcquireLarge(kMiB);
        if (large == kNoSlab || !pool->ReleaseLarge(large)) ++outside;
      }
    }
    over = true;
  });
  threads.Run();
  CHECK(outside == 0);
}

}  // namespace ringbolt
