// All that a unit of XXH3 compiles, for the instruction set that its flags name; xxHash sees by
// itself what that is. Included by those units and by nobody else. Everything in here is static,
// for the reason in crc_kernel.h.

#ifndef RINGBOLT_CHECKSUM_XXH3_UNIT_H_
#define RINGBOLT_CHECKSUM_XXH3_UNIT_H_

#define XXH_INLINE_ALL
#if RINGBOLT_HAVE_XXHASH
#include <string.h>
#include <xxhash.h>
#endif

#include "checksum/xxh3_kernel.h"

namespace ringbolt {

#if RINGBOLT_HAVE_XXHASH

static uint64_t Hash(const void* data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

// xxHash's own state has a pointer and counts that it trusts; ours is anybody's. So its own is made
// anew for every call, which costs less than keeping one apart for each JavaScript object would.
static void Load(const Xxh3State* from, XXH3_state_t* to) {
  XXH3_INITSTATE(to);
  XXH3_64bits_reset_withSeed(to, from->seed);
  if (from->bytes_total == 0) return;
  static_assert(sizeof(to->acc) == sizeof(from->accumulators));
  static_assert(sizeof(to->buffer) == sizeof(from->buffer));
  memcpy(to->acc, from->accumulators, sizeof(to->acc));
  memcpy(to->buffer, from->buffer, sizeof(to->buffer));
  to->totalLen = from->bytes_total;
  // Bounds that xxHash keeps by itself, and that somebody else's bytes may not keep.
  to->bufferedSize = from->buffered <= sizeof(to->buffer) ? from->buffered : 0;
  to->nbStripesSoFar = from->stripes < to->nbStripesPerBlock ? from->stripes : 0;
}

static void Update(Xxh3State* state, const void* data, size_t bytes) {
  XXH3_state_t own;
  Load(state, &own);
  XXH3_64bits_update(&own, data, bytes);
  state->bytes_total = own.totalLen;
  state->buffered = own.bufferedSize;
  state->stripes = static_cast<uint32_t>(own.nbStripesSoFar);
  memcpy(state->accumulators, own.acc, sizeof(own.acc));
  memcpy(state->buffer, own.buffer, sizeof(own.buffer));
}

static uint64_t Digest(const Xxh3State* state) {
  XXH3_state_t own;
  Load(state, &own);
  return XXH3_64bits_digest(&own);
}

static constexpr Xxh3Kernel kXxh3OfThisUnit = {.hash = Hash, .update = Update, .digest = Digest};

#else

static constexpr Xxh3Kernel kXxh3OfThisUnit = {};

#endif

}  // namespace ringbolt

#endif  // RINGBOLT_CHECKSUM_XXH3_UNIT_H_
