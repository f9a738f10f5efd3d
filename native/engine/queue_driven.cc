// The part of Queue that is driven by the JavaScript thread instead of one of its own: it never
// sleeps in the kernel, and the event loop polls its backend.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/queue.h"

namespace ringbolt {

namespace {

// Never freed, on purpose: the kernel may write to its memory for as long as the process lives.
void LeaveToProcess(std::shared_ptr<Queue> queue) {
  static auto* const mutex = new std::mutex;
  static auto* const left = new std::vector<std::shared_ptr<Queue>>;
  const std::lock_guard lock(*mutex);
  left->push_back(std::move(queue));
}

}  // namespace

Status Queue::StartDriven() {
  armed_.store(false);  // nobody waits to be told
  SetUp();
  if (!start_status_.ok() || backend_->PollableFd() >= 0) return start_status_;
  TearDown();
  return Status::Error(ENOTSUP, "poll", "the backend " + backend_name_ + " cannot be polled");
}

void Queue::EndDriven(std::shared_ptr<Queue> queue, uint64_t deadline_ns) {
  queue->stop_.store(StopMode::kCancel);
  for (;;) {
    queue->Drive();
    if (queue->Finished()) return queue->TearDown();
    const uint64_t now_ns = NowNs();
    if (now_ns >= deadline_ns) break;
    const uint64_t left_ms = ((deadline_ns - now_ns) / 1'000'000) + 1;
    pollfd readable{.fd = queue->pollable_fd(), .events = POLLIN, .revents = 0};
    (void)poll(&readable, 1, static_cast<int>(std::min<uint64_t>(left_ms, 1000)));
    (void)queue->TakeSignal();
  }
  LeaveToProcess(std::move(queue));
}

bool Queue::TakeSignal() {
  uint64_t signals = 0;
  (void)!read(pollable_fd(), &signals, sizeof signals);
  return in_flight_ > 0 && backend_->HasNews();
}

}  // namespace ringbolt
