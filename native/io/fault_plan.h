// Which faults a FaultyBackend injects. Rates are operations in a million.

#ifndef RINGBOLT_IO_FAULT_PLAN_H_
#define RINGBOLT_IO_FAULT_PLAN_H_

#include <cstdint>

namespace ringbolt {

inline constexpr uint32_t kAllOperations = 1'000'000;

struct FaultPlan {
  uint64_t seed = 0;  // 0: no faults, whatever else is set
  // Errors: of the rates, at most one applies to an operation.
  uint32_t eintr = 0;
  uint32_t eagain = 0;
  uint32_t eio = 0;     // half of them after the operation was done all the same
  uint32_t enospc = 0;  // writes and flushes
  uint32_t erofs = 0;   // writes and flushes
  // Transfers that stop before their end.
  uint32_t short_transfers = 0;
  // Completions that come late: up to max_delay times later asked for, so that others overtake.
  uint32_t delays = 0;
  uint32_t max_delay = 8;
  // Cancellations that nobody hears.
  uint32_t lost_cancels = 0;
};

}  // namespace ringbolt

#endif  // RINGBOLT_IO_FAULT_PLAN_H_
