// The hashing that a queue's thread has to do, in order of arrival: of data that was just read, of
// data that is to be written, and of memory alone.
//
// It is done a piece at a time, so that I/O which needs no hashing, and the next commands to the
// kernel, wait for a piece and never for all that was asked.
//
// Belongs to the queue's thread. No allocation after the constructor.

#ifndef RINGBOLT_ENGINE_CHECKSUM_WORK_H_
#define RINGBOLT_ENGINE_CHECKSUM_WORK_H_

#include <cstdint>
#include <vector>

#include "engine/block_checksums.h"
#include "engine/checksum_areas.h"
#include "engine/op_slot.h"

namespace ringbolt {

// The blocks of one operation.
class ChecksumJob {
 public:
  // What a slot asks for over `bytes` at `data`. 0, or the errno with which it is refused.
  int Read(const OpSlot& slot, const ChecksumAreas& areas, const void* data, uint32_t bytes);

  // Only the first `bytes` are there: the end of the file came.
  void Shorten(uint32_t bytes) { bytes_ = bytes; }

  // All of it once more, from the beginning, compared with the values of the first time. Requires
  // done(), and that there were no mismatches.
  void Repeat();

  // Hashes some `budget` bytes, at most twice that unless XXH3 has a larger block, which cannot be
  // interrupted; returns how many.
  uint32_t Step(uint32_t budget);

  [[nodiscard]] bool rechecks() const { return recheck_; }
  [[nodiscard]] bool done() const { return at_ >= bytes_; }
  [[nodiscard]] uint32_t mismatches() const { return mismatches_; }

 private:
  uint32_t StepBlocks(uint32_t block, uint32_t count);
  uint32_t StepWithin(uint32_t block, uint32_t limit);
  void Store(uint32_t block, uint64_t value);

  BlockFormula formula_;
  bool compare_ = false;
  bool recheck_ = false;    // is to be repeated when the data is written
  bool repeating_ = false;  // the values of the first time stay
  ChecksumArea* area_ = nullptr;
  const uint8_t* data_ = nullptr;
  uint32_t bytes_ = 0;
  uint32_t at_ = 0;
  uint32_t mismatches_ = 0;
  uint64_t partial_ = 0;  // of the block that at_ is in the middle of
};

// Jobs by the index of their operation, and the order in which they are done.
class ChecksumWork {
 public:
  // `capacity`: operations, a power of two.
  explicit ChecksumWork(uint32_t capacity) : jobs_(capacity), order_(capacity) {}

  [[nodiscard]] ChecksumJob& job(uint32_t index) { return jobs_[index]; }

  // Requires that the operation is not in it.
  void Add(uint32_t index) { order_[tail_++ & (order_.size() - 1)] = index; }
  [[nodiscard]] bool empty() const { return head_ == tail_; }
  [[nodiscard]] uint32_t first() const { return order_[head_ & (order_.size() - 1)]; }
  void RemoveFirst() { ++head_; }

 private:
  std::vector<ChecksumJob> jobs_;
  std::vector<uint32_t> order_;
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_CHECKSUM_WORK_H_
