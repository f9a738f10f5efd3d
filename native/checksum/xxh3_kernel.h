// What one translation unit per instruction set offers of XXH3. The units include xxHash with
// everything in it static, and this; crc_kernel.h says why nothing else.

#ifndef RINGBOLT_CHECKSUM_XXH3_KERNEL_H_
#define RINGBOLT_CHECKSUM_XXH3_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

namespace ringbolt {

// Data that comes in parts. Plain bytes without pointers, which may lie anywhere and be copied, and
// which JavaScript holds: any contents are safe to use, though only those that came about by
// updates give the right hash. All zero but for the seed at the beginning.
struct Xxh3State {
  uint64_t bytes_total;
  uint64_t seed;
  uint64_t accumulators[8];
  uint32_t buffered;  // bytes of what follows
  uint32_t stripes;   // of 64 bytes, since the last scramble
  uint8_t buffer[256];
};

// Thread-safe and without state of its own. All null in a build without xxHash.
struct Xxh3Kernel {
  uint64_t (*hash)(const void* data, size_t bytes, uint64_t seed);
  // Any kernel may go on with the state of another. The data may be the state itself.
  void (*update)(Xxh3State* state, const void* data, size_t bytes);
  // Changes nothing: more may follow.
  uint64_t (*digest)(const Xxh3State* state);
};

extern const Xxh3Kernel kXxh3Baseline;  // what every CPU of the architecture has: SSE2, NEON
extern const Xxh3Kernel kXxh3Avx2;
extern const Xxh3Kernel kXxh3Avx512;

}  // namespace ringbolt

#endif  // RINGBOLT_CHECKSUM_XXH3_KERNEL_H_
