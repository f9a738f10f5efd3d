// The contract between a queue and whatever moves its bytes.
//
// A backend is created, used and destroyed by one thread, its queue's; only Wake() may be called
// from others. It never looks inside an operation: validation, short transfers, retries and
// counters are the queue's, so that they are written once for all backends. A result is a byte
// count or -errno, exactly one for each accepted operation, in any order, also after Cancel().

#ifndef RINGBOLT_IO_BACKEND_H_
#define RINGBOLT_IO_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "io/fault_plan.h"
#include "io/features.h"

namespace ringbolt {

enum class OpKind : uint8_t { kNop, kRead, kWrite, kDataSync };

// IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0), whose header does not compile everywhere.
inline constexpr uint16_t kIdlePriority = 3 << 13;

struct BackendOp {
  uint64_t id = 0;  // chosen by the queue, unique among operations in flight, below 2^63
  OpKind kind = OpKind::kNop;
  bool durable = false;  // writes: on stable storage when they complete (RWF_DSYNC)
  bool direct = false;   // to and from a device, past the page cache (O_DIRECT)
  // Reads that may wait for all others (IOPRIO_CLASS_IDLE): a hint, which not every backend can
  // give and not every device's scheduler heeds.
  bool idle_priority = false;
  int fd = -1;
  uint32_t file_slot = 0;  // where RegisterFile() put that fd
  uint32_t length = 0;
  uint32_t granularity = 1;  // a transfer stops short at multiples of it, or at the end of the file
  uint64_t offset = 0;
  void* data = nullptr;  // stays valid until the result was reaped
};

struct BackendResult {
  uint64_t id = 0;
  int32_t result = 0;
};

enum class BackendKind : uint8_t { kAuto, kUring, kAio, kThreads };

// A backend that would have been better and could not be had.
struct PassedOver {
  const char* name = "";
  Status status;  // why
};

struct BackendOptions {
  BackendKind kind = BackendKind::kAuto;  // looked at by CreateBackend() alone
  uint32_t max_in_flight = 0;             // operations accepted and not yet reaped, at most
  uint32_t max_files = 0;                 // file slots
  bool polled = false;                    // by an event loop: there is no Wait(true) and no Wake()
  FaultPlan faults = {};                  // as `kind` is
  // Features to go without although the kernel has them, by name: for tests and for
  // `RINGBOLT_DISABLE`.
  std::vector<std::string> without;
};

class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual const char* name() const = 0;
  [[nodiscard]] virtual const std::vector<BackendFeature>& features() const = 0;

  // Accepts operations from the front of `ops` and returns how many. Fewer than all only if more
  // than max_in_flight would be in flight. Whether the kernel has seen them before the next Wait()
  // is the backend's choice.
  virtual size_t Submit(std::span<const BackendOp> ops) = 0;

  // Hands everything accepted to the kernel; then, if `block`, sleeps until there is a result to
  // reap or somebody calls Wake(). May return early for no reason. An error here means the backend
  // is unusable.
  virtual Status Wait(bool block) = 0;

  // Takes up to results.size() results and returns how many.
  virtual size_t Reap(std::span<BackendResult> results) = 0;

  // Asks that the operation end soon. Advisory: it may still complete with its bytes; either way
  // its one result follows.
  virtual void Cancel(uint64_t id) = 0;

  // Any thread. Ends the Wait(true) that is under way, or else the next one.
  virtual void Wake() = 0;

  // Of a backend that is polled: an eventfd, written to when Wait(false) may bring results, and to
  // be read by whoever polls it. -1 if it cannot be had.
  [[nodiscard]] virtual int PollableFd() const { return -1; }

  // Of a backend that is polled: whether Wait(false) has something to do that its eventfd, read a
  // moment ago, does not signal any more: results to bring, or operations to hand to the kernel.
  [[nodiscard]] virtual bool HasNews() const { return false; }

  // Tells that `slot` (< max_files) stands for `fd` from now on, or for nothing (-1).
  virtual void RegisterFile(uint32_t slot, int fd) = 0;

  // What was tried in vain before this one was chosen, in that order.
  [[nodiscard]] const std::vector<PassedOver>& passed_over() const { return passed_over_; }
  void set_passed_over(std::vector<PassedOver> tried) { passed_over_ = std::move(tried); }

 private:
  std::vector<PassedOver> passed_over_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_IO_BACKEND_H_
