#include "engine/control_thread.h"

#include <chrono>
#include <utility>

namespace ringbolt {

ControlThread::ControlThread(CompletionListener* listener) : state_(std::make_shared<State>()) {
  state_->listener = listener;
}

ControlThread::~ControlThread() = default;

Status ControlThread::Start() {
  return thread_.Start("ringbolt-ctl", [state = state_] { Run(state.get()); });
}

void ControlThread::Run(State* state) {
  std::unique_lock lock(state->mutex);
  while (true) {
    state->changed.wait(lock, [&] { return state->stopping || !state->waiting.empty(); });
    if (state->stopping) break;
    Task task = std::move(state->waiting.front());
    state->waiting.pop_front();
    lock.unlock();
    task.run();
    task.run = nullptr;  // frees what it held on this thread
    lock.lock();
    state->done.push_back(std::move(task));
    if (state->listener != nullptr) state->listener->OnReady();
  }
  state->exited = true;
  state->changed.notify_all();
}

void ControlThread::Post(Task task) {
  const std::lock_guard lock(state_->mutex);
  state_->waiting.push_back(std::move(task));
  state_->changed.notify_all();
}

size_t ControlThread::RunDone() {
  std::vector<Task> done;
  {
    const std::lock_guard lock(state_->mutex);
    done.swap(state_->done);
  }
  for (const Task& task : done) task.done();
  return done.size();
}

bool ControlThread::Stop(uint64_t deadline_ns) {
  if (!thread_.running()) return true;
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->listener = nullptr;
  state_->waiting.clear();
  state_->changed.notify_all();
  const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(deadline_ns)};
  const bool exited = state_->changed.wait_until(lock, deadline, [&] { return state_->exited; });
  lock.unlock();
  if (exited) {
    thread_.Join();
  } else {
    thread_.Detach();
  }
  return exited;
}

}  // namespace ringbolt
