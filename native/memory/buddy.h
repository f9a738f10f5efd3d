// A binary buddy allocator over `units` equal units, numbered from 0. A block of order k is 2^k
// units, aligned to that; two free neighbours that make up a larger block become it at once.
//
//   order 2   |       .       |       x       |       Give() of unit 1 joins 0 and 1, then 0..3;
//   order 1   |   x   |   .   |                       Take(0) splits the smallest block that is
//   order 0   | . | x |                               large enough, the lowest of them.
//
// The lowest address first, so that what is free gathers at the high end, in large pieces: those
// can be given back to the system, and serve every size.
//
// Free blocks are bits outside the memory itself: it may be discarded while it is free. Each call
// takes a few steps for each order. Nothing is allocated after construction. One thread, or a lock.

#ifndef RINGBOLT_MEMORY_BUDDY_H_
#define RINGBOLT_MEMORY_BUDDY_H_

#include <cstdint>
#include <vector>

#include "memory/free_bits.h"

namespace ringbolt {

class Buddy {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kMaxUnits = 1U << 31;

  struct Block {
    uint32_t unit = 0;
    uint32_t order = 0;
  };

  // All units are free at first. Any number of them from 1 to kMaxUnits.
  explicit Buddy(uint32_t units);

  // The first unit of a block that was free; kNone if there is none of that order or above.
  uint32_t Take(uint32_t order);

  // A block that was taken, or any part of one that is itself a block: what Take(2) gave may come
  // back as four of order 0. Giving what is free is a broken invariant.
  void Give(uint32_t unit, uint32_t order);

  // Takes all that is free of the units that a block of this order at `unit` has, and appends it as
  // blocks in no order. The block itself need not be free, nor lie in the range as a whole.
  void TakeWithin(uint32_t unit, uint32_t order, std::vector<Block>* blocks);

  // The first free block of this order that does not begin below `unit`; kNone if there is none.
  [[nodiscard]] uint32_t FindFree(uint32_t order, uint32_t unit) const;

  [[nodiscard]] uint32_t units() const { return units_; }
  [[nodiscard]] uint32_t free_units() const { return free_units_; }
  // That any block of this range can have.
  [[nodiscard]] uint32_t max_order() const { return static_cast<uint32_t>(free_.size()) - 1; }
  // kNone if nothing is free.
  [[nodiscard]] uint32_t LargestFreeOrder() const;

 private:
  [[nodiscard]] bool IsFree(uint32_t order, uint32_t index) const;
  void Add(uint32_t order, uint32_t index);
  void Remove(uint32_t order, uint32_t index);

  const uint32_t units_;
  uint32_t free_units_ = 0;
  uint32_t orders_with_free_ = 0;  // a bit for each
  std::vector<FreeBits> free_;     // by order; bit i is the block at unit i << order
};

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_BUDDY_H_
