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
// pinned.
//
// A mutex costs little as long as nobody else wants it, and on a busy machine nobody does: of four
// threads hardly two run at the same time. So the target is judged by those rounds alone in which
// the threads had their CPUs, both just before the free list's turn and just after it.
//
// The free list does the same as the pool besides: it notes which slabs are leased, and
// refuses those that are not.

#include <sys/utsname.h>
#include <time.h>

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
constexpr double kAtLeast = 5;       // times the free list, with four threads
constexpr double kHadItsCpus = 0.9;  // of so many CPUs as threads or the machine have

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

// In the order of a round: the free list between the two that never sleep.
enum Place : uint8_t { kMagazine, kLockedList, kSharedList };

struct Contender {
  std::string name;
  Run run;                            // by each thread
  std::vector<double> millions = {};  // of pairs a second, all threads; one a round
  std::vector<double> cpus = {};      // that it had on average; likewise
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

uint64_t CpuNs() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (static_cast<uint64_t>(used.tv_sec) * 1'000'000'000U) +
         static_cast<uint64_t>(used.tv_nsec);
}

void MeasureRound(Contender& contender, uint32_t threads, int milliseconds) {
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
  const uint64_t begin_cpu_ns = CpuNs();
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  const auto elapsed_ns = static_cast<double>(NowNs() - begin_ns);
  contender.cpus.push_back(static_cast<double>(CpuNs() - begin_cpu_ns) / elapsed_ns);
  stop = true;
  for (std::thread& thread : running) thread.join();
  contender.millions.push_back(static_cast<double>(pairs.load()) * 1000 / elapsed_ns);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Of these rounds, to the free list.
double MedianRatio(const Table& table, Place place, const std::vector<size_t>& rounds) {
  std::vector<double> ratios;
  for (const size_t round : rounds) {
    ratios.push_back(table.contenders[place].millions[round] /
                     table.contenders[kLockedList].millions[round]);
  }
  return Median(ratios);
}

std::vector<size_t> Rounds(const Table& table, double at_least_cpus) {
  std::vector<size_t> rounds;
  for (size_t i = 0; i < table.contenders[kMagazine].cpus.size(); ++i) {
    const double cpus =
        std::min(table.contenders[kMagazine].cpus[i], table.contenders[kSharedList].cpus[i]);
    if (cpus >= at_least_cpus) rounds.push_back(i);
  }
  return rounds;
}

void Judge(const Table& table) {
  const uint32_t cpus = std::min(table.threads, std::thread::hardware_concurrency());
  const std::vector<size_t> rounds = Rounds(table, kHadItsCpus * cpus);
  std::printf("%s: magazine / list under a mutex: ", table.name.c_str());
  if (cpus < 2 || rounds.empty()) {
    std::printf("not judged: in no round did the threads have two CPUs or more to themselves\n");
    return;
  }
  const double ratio = MedianRatio(table, kMagazine, rounds);
  std::printf("%.2f in %zu rounds with %u CPUs (at least %.2f) %s\n", ratio, rounds.size(), cpus,
              kAtLeast, ratio >= kAtLeast ? "met" : "MISSED");
}

void Print(const Table& table) {
  std::printf("\n%-22s %15s   %-18s %s\n", table.name.c_str(), "million pairs/s",
              "lowest .. highest", "ratio");
  const std::vector<size_t> all = Rounds(table, 0);
  for (const Place place : {kMagazine, kLockedList, kSharedList}) {
    const Contender& contender = table.contenders[place];
    const auto [low, high] = std::ranges::minmax(contender.millions);
    char range[40];
    std::snprintf(range, sizeof range, "%.1f .. %.1f", low, high);
    std::printf("  %-20s %15.1f   %-18s %.2f\n", contender.name.c_str(), Median(contender.millions),
                range, MedianRatio(table, place, all));
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
                       {"list under a mutex", Of<ByLock>(Pairs, list)},
                       {"shared list alone", Of<BySharedList>(Pairs, pool)}}});
    tables.push_back({"32 at once" + suffix,
                      threads,
                      {{"magazine", Of<ByMagazine>(AtOnce, pool)},
                       {"list under a mutex", Of<ByLock>(AtOnce, list)},
                       {"shared list alone", Of<BySharedList>(AtOnce, pool)}}});
    tables.push_back({"random" + suffix,
                      threads,
                      {{"magazine", Of<ByMagazine>(Random, pool)},
                       {"list under a mutex", Of<ByLock>(Random, list)},
                       {"shared list alone", Of<BySharedList>(Random, pool)}}});
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
    for (int round = 0; round < options.rounds; ++round) {
      for (Contender& contender : table.contenders) {
        MeasureRound(contender, table.threads, options.milliseconds);
      }
    }
    Print(table);
  }
  std::printf("\n");
  for (const Table& table : tables) {
    if (table.threads == kThreads) Judge(table);
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
