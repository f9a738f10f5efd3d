// What a backend's thread sleeps on when no ring of the kernel does it: one eventfd for everybody
// who may end the sleep. Its counter says who did: wake-ups count in the upper half, completions in
// the lower, where the kernel itself adds one for each (IOCB_FLAG_RESFD).
//
// An eventfd forgets nothing: what was signalled before the sleep ends it at once.

#ifndef RINGBOLT_IO_WAKE_EVENT_H_
#define RINGBOLT_IO_WAKE_EVENT_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/scoped_fd.h"
#include "base/status.h"

namespace ringbolt {

class WakeEvent {
 public:
  Status Init() {
    fd_ = ScopedFd(eventfd(0, EFD_CLOEXEC));
    return fd_.valid() ? Status::Ok() : Status::FromErrno("eventfd");
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

  // Any thread. There is something to reap.
  void Signal() { Add(1); }

  // Any thread. The sleep shall end whether or not there is.
  void Wake() { Add(kWake); }

  // Sleeps until one of the two was called since the last sleep. True if it was Wake(), or nothing
  // that can be said (EINTR).
  bool Sleep() {
    uint64_t counter = 0;
    if (read(fd_.get(), &counter, sizeof counter) != sizeof counter) return true;
    return counter >= kWake;
  }

 private:
  static constexpr uint64_t kWake = uint64_t{1} << 32;

  // Would block, and thus sleep itself, only at a counter that four billion unread wake-ups make;
  // nobody calls Wake() again before the sleeper has shown that it is awake.
  void Add(uint64_t count) { (void)!write(fd_.get(), &count, sizeof count); }

  ScopedFd fd_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_IO_WAKE_EVENT_H_
