#include "engine/checksum_work.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

namespace ringbolt {

namespace {

constexpr double kMaxBlockNumber = 9007199254740991.0;  // 2^53 - 1, Number.MAX_SAFE_INTEGER

}  // namespace

int ChecksumJob::Read(const OpSlot& slot, const ChecksumAreas& areas, const void* data,
                      uint32_t bytes) {
  const uint32_t algorithm = (slot.flags >> kFlagAlgorithmShift) & kFlagAlgorithmMask;
  formula_ = {.algorithm = static_cast<ChecksumAlgorithm>(algorithm),
              .numbered = (slot.flags & kFlagNumbered) != 0,
              .block_bytes = slot.block_bytes,
              .seed = slot.seed,
              .first_block = 0};
  if (formula_.numbered) {
    const double first = slot.first_block;
    if (!(first >= 0 && first <= kMaxBlockNumber && first == std::trunc(first))) return EINVAL;
    formula_.first_block = static_cast<uint64_t>(first);
  }
  const int error = CheckFormula(formula_, bytes);
  if (error != 0) return error;
  if (CountBlocks(formula_, bytes) > kMaxChecksumBlocks) return EINVAL;
  area_ = areas.At(slot.token & kTokenPlaceMask);
  if (area_ == nullptr) return EINVAL;
  compare_ = (slot.flags & kFlagCompare) != 0;
  recheck_ = (slot.flags & kFlagRecheck) != 0;
  repeating_ = false;
  data_ = static_cast<const uint8_t*>(data);
  bytes_ = bytes;
  at_ = 0;
  mismatches_ = 0;
  partial_ = 0;
  return 0;
}

void ChecksumJob::Repeat() {
  compare_ = true;
  repeating_ = true;
  at_ = 0;
}

uint32_t ChecksumJob::Step(uint32_t budget) {
  uint32_t hashed = 0;
  while (!done() && hashed < budget) {
    const uint32_t block = at_ / formula_.block_bytes;
    const uint32_t whole = (bytes_ - at_) / formula_.block_bytes;
    const uint32_t left = budget - hashed;
    const bool between = at_ % formula_.block_bytes == 0;
    if (between && whole > 0 && formula_.block_bytes <= budget) {
      const uint32_t affordable = std::max(left / formula_.block_bytes, 1U);
      hashed += StepBlocks(block, std::min({whole, affordable, kBlocksAtOnce}));
    } else {
      hashed += StepWithin(block, left);
    }
  }
  return hashed;
}

uint32_t ChecksumJob::StepBlocks(uint32_t block, uint32_t count) {
  std::array<uint64_t, kBlocksAtOnce> values;
  WholeBlocks(formula_, data_ + at_, block, std::span(values).first(count));
  for (uint32_t i = 0; i < count; ++i) Store(block + i, values[i]);
  const uint32_t bytes = count * formula_.block_bytes;
  at_ += bytes;
  return bytes;
}

// A short last block, or a piece of one that is larger than a step.
uint32_t ChecksumJob::StepWithin(uint32_t block, uint32_t limit) {
  const uint32_t within = at_ % formula_.block_bytes;
  const uint32_t rest = std::min(formula_.block_bytes - within, bytes_ - at_);
  const bool divisible = formula_.algorithm != ChecksumAlgorithm::kXxh3;
  const uint32_t bytes = divisible ? std::min(rest, limit) : rest;
  const uint64_t seed = within == 0 ? BlockSeed(formula_, block) : partial_;
  partial_ = Checksum(formula_.algorithm, data_ + at_, bytes, seed);
  at_ += bytes;
  if (bytes == rest) Store(block, partial_);
  return bytes;
}

void ChecksumJob::Store(uint32_t block, uint64_t value) {
  if (compare_) {
    const uint32_t word = block / 32;
    const uint32_t bit = 1U << (block % 32);
    const uint32_t before = block % 32 == 0 ? 0 : area_->Mismatches(word);
    const bool mismatch = area_->Value(block) != value;
    area_->SetMismatches(word, mismatch ? before | bit : before & (bit - 1));
    if (mismatch) ++mismatches_;
  }
  if (!repeating_) area_->SetValue(block, value);
}

}  // namespace ringbolt
