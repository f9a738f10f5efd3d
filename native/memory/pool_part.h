// The slabs of one part of the arena.
//
//   uncut memory (a buddy allocator, under a lock)
//        │ cut: a batch at a time              ▲ drained: everything, where a class finds nothing
//        ▼                                     │
//   one shared list for each class (no lock) ◀──▶ magazines, and who asks without one
//
// Slabs stay with their class while they are in a list, so that most of what is taken and put back
// never meets the lock. Where a class has none, it cuts; where nothing is left to cut, all lists of
// the part are drained, neighbours join, and it cuts again. So any mix of sizes may use the whole
// part, and free memory fails an acquisition only where slabs in use lie between.
//
// Any thread may call everything.

#ifndef RINGBOLT_MEMORY_POOL_PART_H_
#define RINGBOLT_MEMORY_POOL_PART_H_

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/cache_line.h"
#include "memory/arena.h"
#include "memory/buddy.h"
#include "memory/shared_list.h"
#include "memory/slab.h"

namespace ringbolt {

class PoolPart {
 public:
  // `links`: by unit, of all parts.
  PoolPart(const PartInfo& info, std::vector<uint32_t> class_bytes, SlabLinks links);
  PoolPart(const PoolPart&) = delete;
  PoolPart& operator=(const PoolPart&) = delete;

  // Fills `out`, of at most kMaxBatch, from its beginning. At least one, unless nothing is to be
  // had. Takes the lock only if the class's list is empty, and may then wait for Trim() to end one
  // of its steps (some 500 µs).
  uint32_t Take(uint32_t slab_class, std::span<uint32_t> out);
  static constexpr uint32_t kMaxBatch = 64;

  // Slabs of this part and class that are in no list.
  void Put(uint32_t slab_class, std::span<const uint32_t> units) {
    lists_[slab_class].Push(links_, units);
  }

  // Gives free memory back to the system; returns how many bytes. What was given back before, and
  // not cut since, is passed over. Not for two threads at once.
  size_t Trim(const Arena& arena);

  SharedList::Counters& counters(uint32_t slab_class) { return lists_[slab_class].counters; }
  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] size_t UncutBytes();
  [[nodiscard]] size_t LargestUncutBytes();

 private:
  // What Trim() takes away at a time: where all other memory is in use, others wait for as long as
  // this takes to discard. A multiple of a huge page.
  static constexpr uint32_t kTrimOrder = 11;

  uint32_t Cut(uint32_t slab_class, std::span<uint32_t> out);
  void Drain();
  size_t TrimWindow(const Arena& arena, uint32_t window);
  [[nodiscard]] std::vector<MemoryRange> Untrimmed(const std::vector<Buddy::Block>& blocks) const;
  [[nodiscard]] uint32_t OrderOf(uint32_t slab_class) const;
  [[nodiscard]] bool IsTrimmed(uint32_t from, uint32_t to) const;

  // Written once.
  const std::vector<uint32_t> class_bytes_;
  const SlabLinks links_;
  const uint32_t first_unit_;
  const size_t bytes_;
  const PageKind pages_;

  std::array<SharedList, kMaxSlabClasses> lists_;  // each on its own line

  alignas(kCacheLineBytes) std::mutex mutex_;  // of everything below
  std::condition_variable trimmed_;  // a step has ended, or nobody waits for that any more
  bool trimming_ = false;            // memory that is free is neither in a list nor in buddy_
  uint32_t waiting_ = 0;             // in Take(), for a step of Trim() to end
  Buddy buddy_;                      // its units are those of the part, from 0
  std::vector<bool> no_pages_;       // by such a unit: given back to the system and not cut since
};

static_assert(kHasOwnCacheLines<PoolPart>);

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_POOL_PART_H_
