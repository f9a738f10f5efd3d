// XXH3 for any CPU of the architecture: SSE2 on x86-64, NEON on arm64. xxHash sees by itself what
// it is compiled for.

#define XXH_INLINE_ALL
#if RINGBOLT_HAVE_XXHASH
#include <xxhash.h>
#endif

#include "checksum/xxh3_kernel.h"

namespace ringbolt {

#if RINGBOLT_HAVE_XXHASH

namespace {

uint64_t Hash(const void* data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

}  // namespace

const Xxh3Kernel kXxh3Baseline = {Hash};

#else

const Xxh3Kernel kXxh3Baseline = {nullptr};

#endif

}  // namespace ringbolt
