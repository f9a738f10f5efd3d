// Invariants that must hold whatever the caller does. A broken one is a bug in ringbolt itself, so
// the process stops at the place where it was seen instead of going on with memory it no longer
// understands. Never used for input: bad input is a Status or an errno.

#ifndef RINGBOLT_BASE_CHECK_H_
#define RINGBOLT_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define RB_CHECK(condition)                                                                  \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "ringbolt: broken invariant: %s (%s:%d)\n", #condition, __FILE__, \
                   __LINE__);                                                                \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)

#endif  // RINGBOLT_BASE_CHECK_H_
