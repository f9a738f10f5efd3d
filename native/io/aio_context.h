// The system calls of Linux native AIO, and the ring in which the kernel leaves its events. That
// ring is mapped where the context's id points to, and is emptied without a system call.
//
// One thread.

#ifndef RINGBOLT_IO_AIO_CONTEXT_H_
#define RINGBOLT_IO_AIO_CONTEXT_H_

#include <linux/aio_abi.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "io/backend.h"

namespace ringbolt {

// A direct read or write as the kernel takes it. Its completion adds to the eventfd.
iocb MakeControl(const BackendOp& op, uint64_t data, int event_fd);

class AioContext {
 public:
  AioContext() = default;
  ~AioContext();  // waits for all that is in flight
  AioContext(const AioContext&) = delete;
  AioContext& operator=(const AioContext&) = delete;

  // For `events` operations in flight. EAGAIN: more than fs.aio-max-nr has left.
  Status Init(uint32_t events);

  // Whether the ring has the layout that it has had since Linux 2.6. What else answers to these
  // system calls (sandboxes, emulators) may not have one.
  [[nodiscard]] bool HasRing() const { return ring_ != nullptr; }
  void ForgetRing() { ring_ = nullptr; }

  // How many of the first were taken, or the -errno with which the first was refused.
  int64_t Submit(std::span<iocb*> operations);

  // Takes up to events.size() of those that are there, without waiting.
  size_t Reap(std::span<io_event> events);

  // Advisory. The operation's event comes in any case.
  void Cancel(iocb* operation);

 private:
  struct Ring;

  aio_context_t id_ = 0;
  Ring* ring_ = nullptr;
};

}  // namespace ringbolt

#endif  // RINGBOLT_IO_AIO_CONTEXT_H_
