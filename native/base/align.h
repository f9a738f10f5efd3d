// Alignment arithmetic, and the size of what two threads must not share.

#ifndef RINGBOLT_BASE_ALIGN_H_
#define RINGBOLT_BASE_ALIGN_H_

#include <bit>
#include <cstddef>
#include <cstdint>

namespace ringbolt {

// Not std::hardware_destructive_interference_size: that one follows compiler flags, and layouts
// that JavaScript also knows must not. 64 bytes on every x86-64 and on the arm64 servers Node runs
// on.
inline constexpr size_t kCacheLineBytes = 64;

// The unit in which memory is mapped, and the least alignment that any O_DIRECT device asks for.
inline constexpr size_t kPageBytes = 4096;

constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

constexpr uint64_t AlignDown(uint64_t value, uint64_t alignment) {
  return value & ~(alignment - 1);
}

constexpr bool IsAligned(uint64_t value, uint64_t alignment) {
  return (value & (alignment - 1)) == 0;
}

// Requires 1 <= value <= 2^31.
constexpr uint32_t NextPowerOfTwo(uint32_t value) { return std::bit_ceil(value); }

}  // namespace ringbolt

#endif  // RINGBOLT_BASE_ALIGN_H_
