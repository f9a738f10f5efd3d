// The one clock: CLOCK_MONOTONIC in nanoseconds, which is also what Node's process.hrtime() reads,
// so that a time taken in JavaScript and a time taken on a queue thread can be subtracted.

#ifndef RINGBOLT_BASE_CLOCK_H_
#define RINGBOLT_BASE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace ringbolt {

inline uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U) + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace ringbolt

#endif  // RINGBOLT_BASE_CLOCK_H_
