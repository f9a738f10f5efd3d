// One thread's own few slabs of each class, so that most of what it acquires and releases concerns
// nobody else.
//
// Acquire() and Release() on the fast path touch: the magazine itself, which has lines of its own;
// the slab's state, which has a line of its own (see BufferPool::SlabState); and lines that are
// only ever read, or written on a miss: the pool's table of parts and its count of shortages. No
// line that another thread writes in the same course of things, then, and one locked instruction,
// in Release().
//
// It has at most 64 slabs of a class, 1 MiB, or a sixteenth of its part, whichever is least, but at
// least one; refilled and emptied by halves, so that neither an acquisition after a release nor the
// reverse goes back and forth at an edge. What lies in the magazine of a thread that does nothing
// is out of reach for the others: that is the price, and the reason for these limits.
//
// Belongs to one thread, but for what the pool's statistics read. Slabs may be released by another
// magazine than the one that acquired them.

#ifndef RINGBOLT_MEMORY_MAGAZINE_H_
#define RINGBOLT_MEMORY_MAGAZINE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/cache_line.h"
#include "base/check.h"
#include "memory/buffer_pool.h"
#include "memory/slab.h"

namespace ringbolt {

class alignas(kCacheLineBytes) Magazine {
 public:
  // `part`: whose slabs it holds. Others, where that part has none, are handed through.
  Magazine(std::shared_ptr<BufferPool> pool, uint32_t part);
  ~Magazine();  // gives all back
  Magazine(const Magazine&) = delete;
  Magazine& operator=(const Magazine&) = delete;

  // The unit of a slab of this class, leased; kNoSlab if there is none to be had. It holds whatever
  // was there before.
  uint32_t Acquire(uint32_t slab_class) {
    RB_CHECK(slab_class < pool_->class_count());
    Rack& rack = racks_[slab_class];
    if (rack.count == 0 && !Refill(slab_class)) [[unlikely]]
      return kNoSlab;
    const uint32_t unit = rack.units[--rack.count];
    pool_->MarkLeased(unit, slab_class);
    Add<uint64_t>(rack.acquired, 1);
    Add<int64_t>(out_[pool_->PartOf(unit)].of[slab_class], 1);
    return unit;
  }

  // False, and nothing happens, if `unit` does not name a leased slab.
  bool Release(uint32_t unit) {
    const uint8_t slab_class = pool_->MarkFree(unit);
    if (slab_class == BufferPool::kNotLeased) [[unlikely]]
      return false;
    const uint32_t part = pool_->PartOf(unit);
    Add<int64_t>(out_[part].of[slab_class], -1);
    if (part != part_) [[unlikely]] {
      pool_->PutBack(slab_class, {&unit, 1});
    } else {
      Rack& rack = racks_[slab_class];
      if (rack.count == rack.capacity) GiveOldest(slab_class, (rack.capacity + 1) / 2);
      rack.units[rack.count++] = unit;
    }
    // Somebody found nothing since this was looked at last.
    if (pool_->shortages() != seen_shortages_) [[unlikely]] {
      seen_shortages_ = pool_->shortages();
      Flush();
    }
    return true;
  }

  // Gives all that it holds to the shared lists; false if that was nothing.
  bool Flush();

  [[nodiscard]] uint32_t part() const { return part_; }
  [[nodiscard]] uint32_t Capacity(uint32_t slab_class) const { return racks_[slab_class].capacity; }
  [[nodiscard]] uint32_t Held(uint32_t slab_class) const { return racks_[slab_class].count; }

  // --- Any thread ---

  // Slabs of that part: acquired here less released here, so it may be negative.
  [[nodiscard]] int64_t OutOf(uint32_t slab_class, uint32_t part) const {
    return out_[part].of[slab_class].load(std::memory_order_relaxed);
  }
  [[nodiscard]] uint64_t AcquiredFrom(uint32_t slab_class, uint32_t part) const {
    return part == part_ ? racks_[slab_class].acquired.load(std::memory_order_relaxed) : 0;
  }

 private:
  static constexpr uint32_t kMaxSlabs = PoolPart::kMaxBatch;
  static constexpr uint32_t kMaxBytes = 1U << 20;

  struct alignas(kCacheLineBytes) Rack {
    uint32_t count = 0;
    uint32_t capacity = 0;
    std::atomic<uint64_t> acquired{0};
    std::array<uint32_t, kMaxSlabs> units{};  // the last is the next to go
  };
  struct alignas(kCacheLineBytes) OutCounters {
    std::atomic<int64_t> of[kMaxSlabClasses];
  };

  bool Refill(uint32_t slab_class);
  void GiveOldest(uint32_t slab_class, uint32_t count);

  // Only this thread writes them.
  template <typename T>
  static void Add(std::atomic<T>& counter, T value) {
    counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }

  const std::shared_ptr<BufferPool> pool_;
  const uint32_t part_;
  uint32_t seen_shortages_ = 0;
  std::unique_ptr<OutCounters[]> out_;  // by part
  std::array<Rack, kMaxSlabClasses> racks_;
};

static_assert(kHasOwnCacheLines<Magazine>);

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_MAGAZINE_H_
