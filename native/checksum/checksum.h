// CRC-32C, CRC-64/NVME and XXH3 at the speed of the machine: the instruction set is chosen once,
// when the addon is loaded, from what CPU and operating system support.
//
// Every function may be called by any thread, keeps no state and allocates nothing. Data may be of
// any length and alignment; no byte outside it is read or written.

#ifndef RINGBOLT_CHECKSUM_CHECKSUM_H_
#define RINGBOLT_CHECKSUM_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

#include "checksum/xxh3_kernel.h"

namespace ringbolt {

// CRCs are always finished ones. `seed` is the CRC of what came before, 0 at the beginning:
// Crc32c(b, Crc32c(a)) == Crc32c(a followed by b).
uint32_t Crc32c(const void* data, size_t bytes, uint32_t seed = 0);
uint64_t Crc64Nvme(const void* data, size_t bytes, uint64_t seed = 0);

// Copies and returns the CRC of what was copied, for the price of going through memory once. The
// areas must not overlap.
uint32_t CopyCrc32c(void* to, const void* from, size_t bytes, uint32_t seed = 0);
uint64_t CopyCrc64Nvme(void* to, const void* from, size_t bytes, uint64_t seed = 0);

// `blocks` blocks of `block_bytes`, one after the other. crcs[i] holds the seed of block i on
// entry, say the CRC of its number, and its CRC on return. Faster for small blocks than one call
// for each.
void BlockCrc32c(const void* data, size_t block_bytes, size_t blocks, uint32_t* crcs);
void BlockCrc64Nvme(const void* data, size_t block_bytes, size_t blocks, uint64_t* crcs);

// The CRC of a followed by b, from the CRCs of both (seed 0) and the length of b. O(log length).
uint32_t Crc32cCombine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b);
uint64_t Crc64NvmeCombine(uint64_t crc_a, uint64_t crc_b, uint64_t bytes_b);

// XXH3, 64 bits; of every block in the second, sums[i] holding the seed of block i on entry.
// Unlike a CRC's, its seed is not the hash of what came before: for data in parts there is a state,
// which one thread at a time may use.
// Requires ChosenXxh3Kernel() (dispatch.h) not to be null.
uint64_t Xxh3(const void* data, size_t bytes, uint64_t seed = 0);
void BlockXxh3(const void* data, size_t block_bytes, size_t blocks, uint64_t* sums);
void Xxh3Update(Xxh3State* state, const void* data, size_t bytes);
uint64_t Xxh3Digest(const Xxh3State& state);

}  // namespace ringbolt

#endif  // RINGBOLT_CHECKSUM_CHECKSUM_H_
