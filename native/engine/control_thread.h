// A thread for what may block and is not I/O on a queue: making memory, starting queues, opening,
// closing. One task at a time, in order of arrival. Not libuv's pool: a file system that hangs in
// open() must not take DNS and node:fs with it.

#ifndef RINGBOLT_ENGINE_CONTROL_THREAD_H_
#define RINGBOLT_ENGINE_CONTROL_THREAD_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/status.h"
#include "base/thread.h"
#include "engine/queue.h"

namespace ringbolt {

class ControlThread {
 public:
  struct Task {
    std::function<void()> run;   // on the control thread
    std::function<void()> done;  // on the JavaScript thread, by RunDone()
  };

  // `listener` is told whenever a task has run.
  explicit ControlThread(CompletionListener* listener);
  ~ControlThread();  // Stop() came first
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  // All on the JavaScript thread.

  Status Start();
  void Post(Task task);
  // Calls `done` of every task that has run; returns how many.
  size_t RunDone();
  // Forgets tasks that wait, lets a running one end until `deadline_ns`, then orphans the thread.
  // Nobody is notified afterwards. True if the thread ended.
  bool Stop(uint64_t deadline_ns);

 private:
  // Shared with the thread, which may outlive this object.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Task> waiting;
    std::vector<Task> done;
    CompletionListener* listener = nullptr;  // nullptr once stopped
    bool stopping = false;
    bool exited = false;
  };

  static void Run(State* state);

  const std::shared_ptr<State> state_;
  Thread thread_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_CONTROL_THREAD_H_
