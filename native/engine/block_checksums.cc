#include "engine/block_checksums.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "checksum/checksum.h"
#include "checksum/dispatch.h"

namespace ringbolt {

// A number is hashed as it lies in memory.
static_assert(std::endian::native == std::endian::little);

namespace {

constexpr uint64_t kMaxBlockNumber = 9007199254740991;  // 2^53 - 1, Number.MAX_SAFE_INTEGER

void Crc32cBlocks(const void* data, size_t block_bytes, std::span<uint64_t> crcs) {
  std::array<uint32_t, kBlocksAtOnce> narrow;
  for (size_t i = 0; i < crcs.size(); ++i) narrow[i] = static_cast<uint32_t>(crcs[i]);
  BlockCrc32c(data, block_bytes, crcs.size(), narrow.data());
  for (size_t i = 0; i < crcs.size(); ++i) crcs[i] = narrow[i];
}

// `values` holds each block's seed on entry.
void Blocks(ChecksumAlgorithm algorithm, const void* data, size_t block_bytes,
            std::span<uint64_t> values) {
  switch (algorithm) {
    case ChecksumAlgorithm::kNone:
      break;
    case ChecksumAlgorithm::kCrc32c:
      return Crc32cBlocks(data, block_bytes, values);
    case ChecksumAlgorithm::kCrc64Nvme:
      return BlockCrc64Nvme(data, block_bytes, values.size(), values.data());
    case ChecksumAlgorithm::kXxh3:
      return BlockXxh3(data, block_bytes, values.size(), values.data());
  }
}

}  // namespace

int CheckFormula(const BlockFormula& formula, uint64_t bytes) {
  if (formula.algorithm == ChecksumAlgorithm::kNone || formula.block_bytes == 0) return EINVAL;
  if (formula.algorithm > ChecksumAlgorithm::kXxh3) return EINVAL;
  if (formula.algorithm == ChecksumAlgorithm::kXxh3 && ChosenXxh3Kernel() == nullptr) {
    return ENOTSUP;
  }
  if (formula.algorithm == ChecksumAlgorithm::kCrc32c && formula.seed > UINT32_MAX) return EINVAL;
  const uint64_t last = std::max<uint64_t>(CountBlocks(formula, bytes), 1) - 1;
  const bool countable =
      formula.first_block <= kMaxBlockNumber && last <= kMaxBlockNumber - formula.first_block;
  return !formula.numbered || countable ? 0 : EINVAL;
}

uint64_t BlockSeed(const BlockFormula& formula, uint32_t block) {
  if (!formula.numbered) return formula.seed;
  const uint64_t number = formula.first_block + block;
  return Checksum(formula.algorithm, &number, sizeof number, formula.seed);
}

uint64_t Checksum(ChecksumAlgorithm algorithm, const void* data, size_t bytes, uint64_t seed) {
  switch (algorithm) {
    case ChecksumAlgorithm::kNone:
      break;
    case ChecksumAlgorithm::kCrc32c:
      return Crc32c(data, bytes, static_cast<uint32_t>(seed));
    case ChecksumAlgorithm::kCrc64Nvme:
      return Crc64Nvme(data, bytes, seed);
    case ChecksumAlgorithm::kXxh3:
      return Xxh3(data, bytes, seed);
  }
  return 0;
}

uint64_t CopyChecksum(ChecksumAlgorithm algorithm, void* to, const void* from, size_t bytes,
                      uint64_t seed) {
  switch (algorithm) {
    case ChecksumAlgorithm::kNone:
      break;
    case ChecksumAlgorithm::kCrc32c:
      return CopyCrc32c(to, from, bytes, static_cast<uint32_t>(seed));
    case ChecksumAlgorithm::kCrc64Nvme:
      return CopyCrc64Nvme(to, from, bytes, seed);
    case ChecksumAlgorithm::kXxh3:
      std::memcpy(to, from, bytes);
      return Xxh3(to, bytes, seed);
  }
  return 0;
}

void WholeBlocks(const BlockFormula& formula, const uint8_t* data, uint32_t first,
                 std::span<uint64_t> values) {
  RB_CHECK(values.size() <= kBlocksAtOnce);
  std::ranges::fill(values, formula.seed);
  if (formula.numbered) {
    // The numbers are blocks too, of eight bytes.
    std::array<uint64_t, kBlocksAtOnce> numbers;
    for (size_t i = 0; i < values.size(); ++i) numbers[i] = formula.first_block + first + i;
    Blocks(formula.algorithm, numbers.data(), sizeof numbers[0], values);
  }
  Blocks(formula.algorithm, data, formula.block_bytes, values);
}

}  // namespace ringbolt
