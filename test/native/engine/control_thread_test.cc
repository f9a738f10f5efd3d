// Shows that tasks run in order and once, that waiting ones are forgotten at the end, and that a
// task which hangs is left behind without harm.

#include "engine/control_thread.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace ringbolt {

namespace {

class Listener final : public CompletionListener {
 public:
  void OnReady() override {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void WaitFor(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

constexpr uint64_t kNever = INT64_MAX;

}  // namespace

TEST_CASE("ControlThread: runs tasks in order, and their ends when asked to") {
  Listener listener;
  ControlThread control(&listener);
  REQUIRE(control.Start().ok());
  std::vector<int> ran;
  std::vector<int> done;
  for (int i = 0; i < 100; ++i) {
    control.Post({[&ran, i] { ran.push_back(i); }, [&done, i] { done.push_back(i); }});
  }
  listener.WaitFor(100);
  CHECK(done.empty());
  CHECK(control.RunDone() == 100);
  CHECK(control.Stop(kNever));
  for (int i = 0; i < 100; ++i) {
    CHECK(ran[i] == i);
    CHECK(done[i] == i);
  }
}

TEST_CASE("ControlThread: what waits when it stops never runs, and what runs may finish") {
  Listener listener;
  ControlThread control(&listener);
  REQUIRE(control.Start().ok());
  std::promise<void> begun;
  std::promise<void> finish;
  bool finished = false;
  bool second_ran = false;
  auto second = std::make_shared<int>();
  const std::weak_ptr<int> waiting = second;
  control.Post({[&] {
                  begun.set_value();
                  finish.get_future().wait();
                  finished = true;
                },
                [] {}});
  control.Post({[&second_ran, held = std::move(second)] { second_ran = true; }, [] {}});
  begun.get_future().wait();
  // The first ends only when Stop() has forgotten the second.
  std::thread helper([&] {
    while (!waiting.expired()) std::this_thread::yield();
    finish.set_value();
  });
  CHECK(control.Stop(kNever));
  helper.join();
  CHECK(finished);
  CHECK_FALSE(second_ran);
}

TEST_CASE("ControlThread: a task that hangs is orphaned at the deadline, and may end later") {
  auto release = std::make_shared<std::promise<void>>();
  auto ended = std::make_shared<std::promise<void>>();
  std::promise<void> begun;
  {
    Listener listener;
    ControlThread control(&listener);
    REQUIRE(control.Start().ok());
    control.Post({[&begun, release, ended] {
                    begun.set_value();
                    release->get_future().wait();
                    ended->set_value();
                  },
                  [] {}});
    begun.get_future().wait();
    CHECK_FALSE(control.Stop(NowNs() + 1'000'000));
  }  // the listener is gone: the orphan must not call it
  release->set_value();
  ended->get_future().wait();
}

}  // namespace ringbolt
