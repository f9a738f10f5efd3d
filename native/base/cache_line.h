// A value with cache lines of its own: what several threads write must not lie beside what others
// use, or each write costs those a trip to another core.

#ifndef RINGBOLT_BASE_CACHE_LINE_H_
#define RINGBOLT_BASE_CACHE_LINE_H_

#include "base/align.h"

namespace ringbolt {

// True if nothing else can come to lie on a T's lines.
template <typename T>
inline constexpr bool kHasOwnCacheLines =
    alignof(T) % kCacheLineBytes == 0 && sizeof(T) % kCacheLineBytes == 0;

template <typename T>
struct alignas(kCacheLineBytes) CacheLine {
  T value{};
};

static_assert(kHasOwnCacheLines<CacheLine<char>>);

}  // namespace ringbolt

#endif  // RINGBOLT_BASE_CACHE_LINE_H_
