// What is computed over the blocks of a transfer, one value a block:
//
//   h        = numbered ? f(number of the block as 8 bytes, little-endian; seed) : seed
//   value    = f(data of the block; h)
//
// f is CRC-32C, CRC-64/NVME or XXH3. The last block may be shorter; it is hashed as far as it goes.
//
// No state and no allocation; any thread.

#ifndef RINGBOLT_ENGINE_BLOCK_CHECKSUMS_H_
#define RINGBOLT_ENGINE_BLOCK_CHECKSUMS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringbolt {

// As op slots have it. Every value has this much to hold it; CRC-32C uses the lower half.
enum class ChecksumAlgorithm : uint8_t { kNone = 0, kCrc32c = 1, kCrc64Nvme = 2, kXxh3 = 3 };

struct BlockFormula {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::kNone;
  bool numbered = false;
  uint32_t block_bytes = 0;
  uint64_t seed = 0;
  uint64_t first_block = 0;
};

// 0 if the formula can be computed over so many bytes; EINVAL, or ENOTSUP for XXH3 in a build
// without xxHash.
int CheckFormula(const BlockFormula& formula, uint64_t bytes);

// The functions below require that CheckFormula() is 0.

// How many values there are.
inline uint64_t CountBlocks(const BlockFormula& formula, uint64_t bytes) {
  return (bytes + formula.block_bytes - 1) / formula.block_bytes;
}

// h of a block, counted from 0.
uint64_t BlockSeed(const BlockFormula& formula, uint32_t block);

// f(data; seed).
uint64_t Checksum(ChecksumAlgorithm algorithm, const void* data, size_t bytes, uint64_t seed);

// The same, and copies to `to`, in one pass for CRCs. The areas must not overlap.
uint64_t CopyChecksum(ChecksumAlgorithm algorithm, void* to, const void* from, size_t bytes,
                      uint64_t seed);

// Whole blocks that lie one after the other, from block `first` on: at most kBlocksAtOnce.
inline constexpr uint32_t kBlocksAtOnce = 64;
void WholeBlocks(const BlockFormula& formula, const uint8_t* data, uint32_t first,
                 std::span<uint64_t> values);

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_BLOCK_CHECKSUMS_H_
