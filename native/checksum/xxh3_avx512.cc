// XXH3 with AVX-512. xxHash sees by itself what it is compiled for.

#include "checksum/avx512_intrinsics.h"

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

const Xxh3Kernel kXxh3Avx512 = {Hash};

#else

const Xxh3Kernel kXxh3Avx512 = {nullptr};

#endif

}  // namespace ringbolt
