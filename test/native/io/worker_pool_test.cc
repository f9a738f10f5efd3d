// Shows how many threads a worker pool makes and when they end, what a cancellation takes back, and
// that nothing reaches a worker that is none of its business. The operations are the test's own:
// they end when the test says so.

#include "io/worker_pool.h"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <set>
#include <string>
#include <thread>

namespace ringbolt {

namespace {

// What Run() sees and says; reset by each test. Workers only run while a pool lives.
std::atomic<uint32_t> begun{0};
std::atomic<uint32_t> allowed{0};  // operations that may end

int32_t Run(const BackendOp& op) {
  begun.fetch_add(1);
  while (true) {
    uint32_t left = allowed.load();
    if (left > 0 && allowed.compare_exchange_weak(left, left - 1))
      return static_cast<int32_t>(op.id);
    std::this_thread::yield();
  }
}

std::vector<BackendOp> Operations(uint64_t first, uint32_t count) {
  std::vector<BackendOp> ops(count);
  for (uint32_t i = 0; i < count; ++i) {
    ops[i].kind = OpKind::kRead;
    ops[i].id = first + i;
  }
  return ops;
}

class PoolFixture {
 public:
  explicit PoolFixture(WorkerPoolOptions options) : pool_((options.run = Run, options), &event_) {
    begun.store(0);
    allowed.store(0);
    REQUIRE(event_.Init().ok());
    REQUIRE(pool_.Start().ok());
  }

  WorkerPool& pool() { return pool_; }

  std::vector<BackendResult> Collect(size_t count) {
    std::vector<BackendResult> collected;
    std::array<BackendResult, 4> results;
    while (collected.size() < count) {
      while (pool_.PrepareToSleep()) (void)event_.Sleep();
      const size_t reaped = pool_.Reap(results);
      collected.insert(collected.end(), results.begin(),
                       results.begin() + static_cast<long>(reaped));
    }
    REQUIRE(collected.size() == count);
    return collected;
  }

 private:
  WakeEvent event_;
  WorkerPool pool_;
};

void Until(uint32_t count) {
  while (begun.load() < count) std::this_thread::yield();
}

}  // namespace

TEST_CASE("WorkerPool: as many threads as operations, up to its bound") {
  PoolFixture fixture({.max_in_flight = 100, .max_threads = 6});
  CHECK(fixture.pool().threads() == 1);
  fixture.pool().Submit(Operations(0, 3));
  Until(3);
  CHECK(fixture.pool().threads() <= 4);
  fixture.pool().Submit(Operations(3, 97));
  Until(6);
  CHECK(fixture.pool().threads() == 6);
  CHECK(begun.load() == 6);
  allowed.store(100);
  std::set<uint64_t> seen;
  for (const BackendResult& result : fixture.Collect(100)) {
    CHECK(static_cast<uint64_t>(result.result) == result.id);
    seen.insert(result.id);
  }
  CHECK(seen.size() == 100);
  CHECK(fixture.pool().threads() == 6);
}

TEST_CASE("WorkerPool: idle threads end, the last one stays, and others come when needed") {
  PoolFixture fixture({.max_in_flight = 20, .max_threads = 5, .idle_ns = 1});
  for (int round = 0; round < 20; ++round) {
    allowed.store(20);
    fixture.pool().Submit(Operations(0, 20));
    CHECK(fixture.Collect(20).size() == 20);
    while (fixture.pool().threads() > 1) std::this_thread::yield();
  }
  CHECK(fixture.pool().threads() == 1);
}

TEST_CASE("WorkerPool: a cancellation takes back what no worker has begun, and only that") {
  PoolFixture fixture({.max_in_flight = 10, .max_threads = 2});
  fixture.pool().Submit(Operations(0, 10));
  Until(2);
  CHECK_FALSE(fixture.pool().Cancel(0));
  CHECK_FALSE(fixture.pool().Cancel(1));
  CHECK(fixture.pool().Cancel(5));
  CHECK(fixture.pool().Cancel(9));
  CHECK(fixture.pool().Cancel(2));
  CHECK_FALSE(fixture.pool().Cancel(5));
  CHECK_FALSE(fixture.pool().Cancel(77));
  for (const BackendResult& result : fixture.Collect(3)) CHECK(result.result == -ECANCELED);
  allowed.store(10);
  std::set<uint64_t> seen;
  for (const BackendResult& result : fixture.Collect(7)) {
    CHECK(static_cast<uint64_t>(result.result) == result.id);
    seen.insert(result.id);
  }
  CHECK(seen == std::set<uint64_t>{0, 1, 3, 4, 6, 7, 8});
}

TEST_CASE("WorkerPool: can end while operations run and others wait") {
  std::thread releaser;
  {
    PoolFixture fixture({.max_in_flight = 10, .max_threads = 2});
    fixture.pool().Submit(Operations(0, 10));
    Until(2);
    releaser =
        std::thread([] { allowed.store(10); });  // as many as may begin before the end is seen
  }
  releaser.join();
  CHECK(begun.load() >= 2);
}

TEST_CASE("WorkerPool: workers block every signal and bear the library's name") {
  static std::atomic<int> unblocked{-1};
  static std::array<char, 32> name{};
  WakeEvent event;
  REQUIRE(event.Init().ok());
  WorkerPool pool({.max_in_flight = 1,
                   .run =
                       [](const BackendOp&) {
                         sigset_t mask;
                         pthread_sigmask(SIG_BLOCK, nullptr, &mask);
                         int count = 0;
                         for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGALRM}) {
                           count += sigismember(&mask, signal) == 1 ? 0 : 1;
                         }
                         pthread_getname_np(pthread_self(), name.data(), name.size());
                         unblocked.store(count);
                         return 0;
                       }},
                  &event);
  REQUIRE(pool.Start().ok());
  pool.Submit(Operations(0, 1));
  while (pool.PrepareToSleep()) (void)event.Sleep();
  CHECK(unblocked.load() == 0);
  CHECK(std::string(name.data()) == "ringbolt-io");
}

}  // namespace ringbolt
