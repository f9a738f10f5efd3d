// Where checksums of blocks wait for the queue thread and are left for JavaScript: one area for
// each operation that may be outstanding on a queue, so that none is ever lacking and none is
// allocated per operation.
//
// It is address space until it is used, and none at all until Prepare(). JavaScript never sees it:
// the N-API seam copies in what is expected before the operation is kicked, and out what was found
// when it is delivered.
//
// Threads: JavaScript's and the queue's, which the two rings keep apart: one has an area before the
// operation and after it, the other in between. Somebody who writes the same place into two slots
// breaks that; so every access is a relaxed atomic of a word, and gets rubbish at worst.

#ifndef RINGBOLT_ENGINE_CHECKSUM_AREAS_H_
#define RINGBOLT_ENGINE_CHECKSUM_AREAS_H_

#include <atomic>
#include <cstdint>
#include <span>

#include "base/align.h"

namespace ringbolt {

// Of one operation. Room for 1 MiB in blocks of 256 bytes, or 16 MiB in blocks of 4 KiB.
inline constexpr uint32_t kMaxChecksumBlocks = 4096;

// Requires bit < 32 * words.size().
inline void PutBit(std::span<uint32_t> words, uint32_t bit, bool value) {
  const uint32_t mask = 1U << (bit % 32);
  uint32_t& word = words[bit / 32];
  word = value ? word | mask : word & ~mask;
}

class ChecksumArea {
 public:
  [[nodiscard]] uint64_t Value(uint32_t block) const {
    return __atomic_load_n(&values_[block], __ATOMIC_RELAXED);
  }
  void SetValue(uint32_t block, uint64_t value) {
    __atomic_store_n(&values_[block], value, __ATOMIC_RELAXED);
  }

  // Of the 32 blocks from 32 * word on, the first in the lowest bit: 1 means mismatch.
  [[nodiscard]] uint32_t Mismatches(uint32_t word) const {
    return __atomic_load_n(&mismatches_[word], __ATOMIC_RELAXED);
  }
  void SetMismatches(uint32_t word, uint32_t bits) {
    __atomic_store_n(&mismatches_[word], bits, __ATOMIC_RELAXED);
  }

 private:
  // Before the values, so that an operation of few blocks touches one page.
  alignas(kCacheLineBytes) uint32_t mismatches_[kMaxChecksumBlocks / 32];
  uint64_t values_[kMaxChecksumBlocks];
};

class ChecksumAreas {
 public:
  explicit ChecksumAreas(uint32_t count) : count_(count) {}
  ~ChecksumAreas();
  ChecksumAreas(const ChecksumAreas&) = delete;
  ChecksumAreas& operator=(const ChecksumAreas&) = delete;

  // JavaScript thread. 0 or an errno; what was done before is not done again.
  int Prepare();

  // Both threads. Null for a place that there is not, and before Prepare().
  [[nodiscard]] ChecksumArea* At(uint32_t place) const {
    ChecksumArea* areas = areas_.load(std::memory_order_acquire);
    return areas != nullptr && place < count_ ? areas + place : nullptr;
  }

  // --- JavaScript thread; `area` is not null, and there are at most kMaxChecksumBlocks. ---

  static void Put(ChecksumArea* area, std::span<const uint64_t> values);
  static void Take(const ChecksumArea& area, std::span<uint64_t> values);

  // Copies `count` mismatch bits to `words`, from bit `first_bit` on; the others stay as they are.
  // Returns how many are set.
  static uint32_t TakeMismatches(const ChecksumArea& area, uint32_t count, uint32_t first_bit,
                                 std::span<uint32_t> words);

 private:
  const uint32_t count_;
  std::atomic<ChecksumArea*> areas_{nullptr};
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_CHECKSUM_AREAS_H_
