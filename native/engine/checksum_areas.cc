#include "engine/checksum_areas.h"

#include <sys/mman.h>

#include <cerrno>

#include "base/check.h"

namespace ringbolt {

ChecksumAreas::~ChecksumAreas() {
  ChecksumArea* areas = areas_.load();
  if (areas != nullptr) (void)munmap(areas, size_t{count_} * sizeof(ChecksumArea));
}

int ChecksumAreas::Prepare() {
  if (areas_.load(std::memory_order_relaxed) != nullptr) return 0;
  // Only pages that are used become memory: places are given out lowest first.
  void* areas = mmap(nullptr, size_t{count_} * sizeof(ChecksumArea), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (areas == MAP_FAILED) return errno;
  areas_.store(static_cast<ChecksumArea*>(areas), std::memory_order_release);
  return 0;
}

void ChecksumAreas::Put(ChecksumArea* area, std::span<const uint64_t> values) {
  RB_CHECK(values.size() <= kMaxChecksumBlocks);
  for (uint32_t i = 0; i < values.size(); ++i) area->SetValue(i, values[i]);
}

void ChecksumAreas::Take(const ChecksumArea& area, std::span<uint64_t> values) {
  RB_CHECK(values.size() <= kMaxChecksumBlocks);
  for (uint32_t i = 0; i < values.size(); ++i) values[i] = area.Value(i);
}

uint32_t ChecksumAreas::TakeMismatches(const ChecksumArea& area, uint32_t count, uint32_t first_bit,
                                       std::span<uint32_t> words) {
  RB_CHECK(count <= kMaxChecksumBlocks && uint64_t{first_bit} + count <= 32 * words.size());
  uint32_t set = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t bit = (area.Mismatches(i / 32) >> (i % 32)) & 1;
    PutBit(words, first_bit + i, bit != 0);
    set += bit;
  }
  return set;
}

}  // namespace ringbolt
