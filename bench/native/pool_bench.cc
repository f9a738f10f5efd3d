// What acquiring and releasing a slab costs from one and from four threads, beside a free list
// under a mutex, which is what the pool must be worth its size against.
//
//   pool_bench [rounds] [milliseconds]
//
// Defaults: 15 rounds, 50 ms for each figure in each.
//
//   pairs       acquire one, release it
//   32 at once  acquire 32, release them: what a batch of operations does
//   random      48 leased, one of them released and another acquired in its place
//
// All contenders of a table run one after the other in every round, so that whatever else the
// machine does meets all of them; a ratio is the median of the rounds' own ratios. Threads are not
// pinned. The free list does the same as the pool besides: it notes which slabs are leased, and
// refuses those that are not.

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "memory/buffer_pool.h"
#include "memory/magazine.h"

namespace ringbolt {

namespace {

constexpr uint32_t kThreads = 4;
constexpr double kAtLeast = 5;  // times the free list, with four threads

struct Options {
  int rounds = 15;
  int milliseconds = 50;
};

// The peer: one stack of slabs, and a byte for each that says whether it is leased.
class LockedList {
 public:
  explicit LockedList(uint32_t units) : leased_(units, 0) {
    for (uint32_t unit = units; unit-- > 0;) free_.push_back(unit);
  }

  uint32_t Acquire() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return kNoSlab;
    const uint32_t unit = free_.back();
    free_.pop_back();
    leased_[unit] = 1;
    return unit;
  }

  bool Release(uint32_t unit) {
    const std::lock_guard lock(mutex_);
    if (unit >= leased_.size() || leased_[unit] == 0) return false;
    leased_[unit] = 0;
    free_.push_back(unit);
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<uint32_t> free_;
  std::vector<uint8_t> leased_;
};

// What one thread calls.
struct ByMagazine {
  explicit ByMagazine(const std::shared_ptr<BufferPool>& pool) : magazine(pool, 0) {}
  uint32_t Acquire() { return magazine.Acquire(0); }
  bool Release(uint32_t unit) { return magazine.Release(unit); }
  Magazine magazine;
};
struct BySharedList {
  explicit BySharedList(const std::shared_ptr<BufferPool>& from) : pool(from.get()) {}
  uint32_t Acquire() {
    uint32_t unit = kNoSlab;
    pool->AcquireMany(0, 0, {&unit, 1});
    return unit;
  }
  bool Release(uint32_t unit) { return pool->ReleaseMany({&unit, 1}) == 1; }
  BufferPool* pool;
};
struct ByLock {
  explicit ByLock(const std::shared_ptr<LockedList>& from) : list(from.get()) {}
  uint32_t Acquire() { return list->Acquire(); }
  bool Release(uint32_t unit) { return list->Release(unit); }
  LockedList* list;
};

// Pairs of acquire and release until `stop`; SIZE_MAX if anything failed.
template <typename Caller>
size_t Pairs(Caller& caller, const std::atomic<bool>& stop) {
  size_t pairs = 0;
  bool good = true;
  while (!stop.load(std::memory_order_relaxed)) {
    for (int i = 0; i < 64; ++i) good &= caller.Release(caller.Acquire());
    pairs += 64;
  }
  return good ? pairs : SIZE_MAX;
}

template <typename Caller>
size_t AtOnce(Caller& caller, const std::atomic<bool>& stop) {
  std::array<uint32_t, 32> units{};
  size_t pairs = 0;
  bool good = true;
  while (!stop.load(std::memory_order_relaxed)) {
    for (uint32_t& unit : units) unit = caller.Acquire();
    for (const uint32_t unit : units) good &= caller.Release(unit);
    pairs += units.size();
  }
  return good ? pairs : SIZE_MAX;
}

template <typename Caller>
size_t Random(Caller& caller, const std::atomic<bool>& stop) {
  std::array<uint32_t, 48> units{};
  for (uint32_t& unit : units) unit = caller.Acquire();
  uint32_t random = 1;
  size_t pairs = 0;
  bool good = true;
  while (!stop.load(std::memory_order_relaxed)) {
    for (int i = 0; i < 64; ++i) {
      random = (random * 1664525) + 1013904223;
      uint32_t& unit = units[(uint64_t{random} * units.size()) >> 32];
      good &= caller.Release(unit);
      unit = caller.Acquire();
    }
    pairs += 64;
  }
  for (const uint32_t unit : units) good &= caller.Release(unit);
  return good ? pairs : SIZE_MAX;
}

using Run = std::function<size_t(const std::atomic<bool>& stop)>;

struct Contender {
  std::string name;
  Run run;                            // by each thread
  std::vector<double> millions = {};  // of pairs a second, all threads; one a round
};

struct Table {
  std::string name;
  uint32_t threads;
  std::vector<Contender> contenders;
};

template <typename Caller, typename Source>
Run Of(size_t (*pattern)(Caller&, const std::atomic<bool>&), std::shared_ptr<Source> source) {
  return [pattern, source](const std::atomic<bool>& stop) {
    Caller caller(source);
    return pattern(caller, stop);
  };
}

double MeasureMillions(const Contender& contender, uint32_t threads, int milliseconds) {
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> waiting{0};
  std::atomic<size_t> pairs{0};
  std::vector<std::thread> running;
  for (uint32_t i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      ++waiting;
      while (waiting.load() < threads) std::this_thread::yield();
      const size_t own = contender.run(stop);
      if (own == SIZE_MAX) std::abort();
      pairs += own;
    });
  }
  while (waiting.load() < threads) std::this_thread::yield();
  const uint64_t begin_ns = NowNs();
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  stop = true;
  const uint64_t end_ns = NowNs();
  for (std::thread& thread : running) thread.join();
  return static_cast<double>(pairs.load()) * 1000 / static_cast<double>(end_ns - begin_ns);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double MedianRatio(const Contender& a, const Contender& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.millions.size(); ++i) ratios.push_back(a.millions[i] / b.millions[i]);
  return Median(ratios);
}

void Print(const Table& table) {
  std::printf("\n%-22s %15s   %-18s %s\n", table.name.c_str(), "million pairs/s",
              "lowest .. highest", "ratio");
  const Contender& peer = table.contenders.back();
  for (const Contender& contender : table.contenders) {
    const auto [low, high] = std::ranges::minmax(contender.millions);
    char range[40];
    std::snprintf(range, sizeof range, "%.1f .. %.1f", low, high);
    std::printf("  %-20s %15.1f   %-18s %.2f\n", contender.name.c_str(), Median(contender.millions),
                range, MedianRatio(contender, peer));
  }
}

std::vector<Table> Tables(const std::shared_ptr<BufferPool>& pool,
                          const std::shared_ptr<LockedList>& list) {
  std::vector<Table> tables;
  for (const uint32_t threads : {1U, kThreads}) {
    const std::string suffix = threads == 1 ? ", 1 thread" : ", 4 threads";
    tables.push_back({"pairs" + suffix,
                      threads,
                      {{"magazine", Of<ByMagazine>(Pairs, pool)},
                       {"shared list alone", Of<BySharedList>(Pairs, pool)},
                       {"list under a mutex", Of<ByLock>(Pairs, list)}}});
    tables.push_back({"32 at once" + suffix,
                      threads,
                      {{"magazine", Of<ByMagazine>(AtOnce, pool)},
                       {"shared list alone", Of<BySharedList>(AtOnce, pool)},
                       {"list under a mutex", Of<ByLock>(AtOnce, list)}}});
    tables.push_back({"random" + suffix,
                      threads,
                      {{"magazine", Of<ByMagazine>(Random, pool)},
                       {"shared list alone", Of<BySharedList>(Random, pool)},
                       {"list under a mutex", Of<ByLock>(Random, list)}}});
  }
  return tables;
}

int Measure(const Options& options) {
  utsname system{};
  uname(&system);
  double load[1] = {};
  getloadavg(load, 1);
  std::printf("%s %s, %u CPUs, g++/clang " __VERSION__ ", load %.2f, %d rounds of %d ms\n",
              system.sysname, system.release, std::thread::hardware_concurrency(), load[0],
              options.rounds, options.milliseconds);
  if (load[0] > 0.5) std::printf("WARNING: something else is running: expect a wide spread\n");

  std::shared_ptr<Arena> arena;
  constexpr size_t kBytes = size_t{64} << 20;
  const Status status = Arena::Create(ArenaOptions{.bytes = kBytes}, &arena);
  if (!status.ok()) {
    std::fprintf(stderr, "%s: errno %d\n", status.syscall(), status.error());
    return 1;
  }
  const auto pool = std::make_shared<BufferPool>(arena, std::vector<uint32_t>{4096});
  const auto list = std::make_shared<LockedList>(uint32_t{kBytes / kSlabUnitBytes});
  std::vector<Table> tables = Tables(pool, list);
  for (Table& table : tables) {
    for (int round = -1; round < options.rounds; ++round) {  // the first warms up
      for (Contender& contender : table.contenders) {
        const double millions = MeasureMillions(contender, table.threads, options.milliseconds);
        if (round >= 0) contender.millions.push_back(millions);
      }
    }
    Print(table);
  }
  std::printf("\n");
  for (const Table& table : tables) {
    if (table.threads != kThreads) continue;
    const double ratio = MedianRatio(table.contenders.front(), table.contenders.back());
    std::printf("%s: magazine / list under a mutex: %.2f (at least %.2f) %s\n", table.name.c_str(),
                ratio, kAtLeast, ratio >= kAtLeast ? "met" : "MISSED");
  }
  return 0;
}

}  // namespace

}  // namespace ringbolt

int main(int argc, char** argv) {
  ringbolt::Options options;
  if (argc > 1) options.rounds = std::max(1, std::atoi(argv[1]));
  if (argc > 2) options.milliseconds = std::max(1, std::atoi(argv[2]));
  return ringbolt::Measure(options);
}
