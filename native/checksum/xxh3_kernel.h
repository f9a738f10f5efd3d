// What one translation unit per instruction set offers of XXH3. The units include xxHash with
// everything in it static, and this; crc_kernel.h says why nothing else.

#ifndef RINGBOLT_CHECKSUM_XXH3_KERNEL_H_
#define RINGBOLT_CHECKSUM_XXH3_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

namespace ringbolt {

// Thread-safe and without state. Null in a build without xxHash.
struct Xxh3Kernel {
  uint64_t (*hash)(const void* data, size_t bytes, uint64_t seed);
};

extern const Xxh3Kernel kXxh3Baseline;  // what every CPU of the architecture has: SSE2, NEON
extern const Xxh3Kernel kXxh3Avx2;
extern const Xxh3Kernel kXxh3Avx512;

}  // namespace ringbolt

#endif  // RINGBOLT_CHECKSUM_XXH3_KERNEL_H_
