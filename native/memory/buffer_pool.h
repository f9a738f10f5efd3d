// The memory that leases are made of: slabs of power-of-two classes, cut from the parts of an
// arena, and a room for what is larger than any class.
//
//   Magazine      one thread's own few slabs of each class; no line that another thread writes
//      ▲ │        half of it at a time
//      │ ▼
//   SharedList    one for each part and class; no lock
//      ▲ │        a batch cut; or all drained, where a class finds nothing
//      │ ▼
//   PoolPart      one for each part of the arena: a buddy allocator, under a lock
//
// Which classes are worth having follows from who holds buffers, with the defaults of an engine:
//
//   single reads and writes   one block or database page each,     4 to 32 KiB, up to 128 a queue
//   copied transfers          what may be copied in a turn,        up to 256 KiB for each of them
//   streams                   4 MiB in flight, in chunks,          16 of 256 KiB each
//   parts of large transfers  up to maxIoBytes,                    1 MiB, up to 128 a queue
//   JavaScript, between two   magazines: 64 of 4 KiB and never more than 1 MiB of a class, nor a
//   operations                sixteenth of the part
//
// So: every power of two from 4 KiB to 1 MiB, since a slab then wastes less than half of itself;
// and what is larger is rare enough for pages of its own (LargeRoom).
//
// A slab is named by its unit (slab.h), in one numbering for all parts and the room for large
// leases. Resolve() turns one into memory and is the place where nothing outside a slab that is
// leased gets through. It reads one byte a unit, written with relaxed stores: the op slot that
// names the unit was published after the slab was taken, through the submission ring, and that
// orders the two. If a slab is released while it is in flight, Resolve() may still succeed: the
// memory stays inside the pool either way.
//
// Threads: any, unless it says otherwise.

#ifndef RINGBOLT_MEMORY_BUFFER_POOL_H_
#define RINGBOLT_MEMORY_BUFFER_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/cache_line.h"
#include "memory/arena.h"
#include "memory/large_room.h"
#include "memory/pool_part.h"
#include "memory/slab.h"

namespace ringbolt {

class Magazine;

struct PoolClassStats {
  uint32_t slab_bytes = 0;
  // Of the slabs that lie in this part:
  uint64_t cut = 0;  // in circulation: leased, in a list or in a magazine
  uint64_t out = 0;  // leased
  // Of what was asked of this part:
  uint64_t acquired = 0;
  uint64_t refills = 0;  // batches that magazines and others took from list or uncut memory
  uint64_t misses = 0;   // found nothing, in no part
  uint64_t remote = 0;   // batches (of one slab) that came from another part
};

struct PoolPartStats {
  size_t bytes = 0;
  size_t uncut_bytes = 0;  // free, and of no class at present
  std::vector<PoolClassStats> classes;
};

struct PoolStats {
  std::vector<PoolPartStats> parts;
  LargeStats large;
  uint64_t trimmed_bytes = 0;  // given back to the system by Trim(), in total
  uint64_t refused = 0;        // releases of what was not leased
};

class BufferPool {
 public:
  static constexpr uint32_t kMaxParts = 256;  // their numbers are bytes

  // At most kMaxParts parts. `class_bytes`: ascending powers of two from 4 KiB up, at most
  // kMaxSlabClasses.
  BufferPool(std::shared_ptr<Arena> arena, const std::vector<uint32_t>& class_bytes);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Leases slabs of one class, from this part if it has any, else from another. Fills `out` from
  // its beginning and returns how many; at least one, unless nothing is to be had. They hold
  // whatever was there before.
  uint32_t AcquireMany(uint32_t slab_class, uint32_t part, std::span<uint32_t> out);

  // Returns how many were leased, and are not any more; others among them change nothing.
  uint32_t ReleaseMany(std::span<const uint32_t> units);

  // A lease of any size, from the room for large leases; kNoSlab if that has none. Not for the I/O
  // path, as is ReleaseLarge(): see LargeRoom.
  uint32_t AcquireLarge(size_t bytes) { return large_.Acquire(bytes); }
  bool ReleaseLarge(uint32_t unit);

  // Gives the pages of free slabs back to the system; returns how many bytes. They come back with a
  // page fault when they are used again. Takes milliseconds: not for the JavaScript thread. What
  // magazines hold is left alone.
  size_t Trim();

  // The memory of [offset, offset + length) in the leased slab or large lease `unit`, or nullptr if
  // that is not all inside one.
  [[nodiscard]] uint8_t* Resolve(uint32_t unit, size_t offset, size_t length) const {
    const size_t bytes = LeasedBytes(unit);
    if (bytes == 0 || length > bytes || offset > bytes - length) return nullptr;
    return arena_->base() + (size_t{unit} * kSlabUnitBytes) + offset;
  }

  [[nodiscard]] bool IsLeased(uint32_t unit) const { return LeasedBytes(unit) != 0; }
  [[nodiscard]] bool IsLarge(uint32_t unit) const { return large_.BytesOf(unit) != 0; }
  // 0 if `unit` names nothing that is leased. A large lease's are rounded up to pages.
  [[nodiscard]] size_t LeasedBytes(uint32_t unit) const;
  [[nodiscard]] uint8_t* SlabData(uint32_t unit) const;  // requires IsLeased(unit)
  // The part that a slab lies in; requires IsLeased(unit) and not IsLarge(unit).
  [[nodiscard]] uint32_t PartOf(uint32_t unit) const { return part_of_[unit / kPartStep]; }

  [[nodiscard]] uint32_t class_count() const { return static_cast<uint32_t>(class_bytes_.size()); }
  [[nodiscard]] uint32_t part_count() const { return static_cast<uint32_t>(parts_.size()); }
  [[nodiscard]] const std::vector<uint32_t>& class_bytes() const { return class_bytes_; }
  [[nodiscard]] const std::shared_ptr<Arena>& arena() const { return arena_; }

  // The largest piece of free memory that is in no list, for the words of an error: after an
  // acquisition that found nothing, no list has any.
  [[nodiscard]] size_t LargestUncutBytes() const;

  // Each figure is right, but all were not read in the same moment.
  [[nodiscard]] PoolStats Stats();

  // --- JavaScript thread ---

  // Every ArrayBuffer over a slab or a large lease gets a number; only the last one made is of any
  // consequence. Requires IsLeased(unit).
  uint32_t NextBufferGeneration(uint32_t unit);

  // Called when the ArrayBuffer of that generation is gone for good. If it was the last of its
  // unit, it is told once by TakeForgotten(); whether its lease was forgotten, and what becomes of
  // the slab, only the lease's side knows. Each unit is in the list once at most.
  struct Forgotten {
    uint32_t unit = 0;
    uint32_t generation = 0;
  };
  void NoteForgotten(const Forgotten& buffer);
  std::vector<Forgotten> TakeForgotten();

 private:
  friend class Magazine;

  static constexpr uint8_t kNotLeased = UINT8_MAX;
  static constexpr uint32_t kPartStep = kHugePageBytes / kSlabUnitBytes;

  // By unit of the parts: one more than the class of the slab that begins there and is leased, or
  // 0.
  //
  // A line each, because slabs go from thread to thread in any order: of 64 on one line some would
  // soon be another thread's, and each acquisition and release of either's a trip to its core. That
  // is a sixty-fourth of the pool, but only where slabs begin: a line that was never written has no
  // memory behind it.
  struct alignas(kCacheLineBytes) SlabState {
    std::atomic<uint8_t> leased;
  };
  static_assert(kHasOwnCacheLines<SlabState>);
  struct Unmap {
    size_t bytes = 0;
    void operator()(SlabState* states) const;
  };
  using SlabStates = std::unique_ptr<SlabState[], Unmap>;
  static SlabStates MakeStates(uint32_t units);

  void MarkLeased(uint32_t unit, uint32_t slab_class) {
    states_[unit].leased.store(static_cast<uint8_t>(slab_class + 1), std::memory_order_relaxed);
  }
  // The class that it was leased with; kNotLeased if it was not, and nothing happens. Of two
  // threads that release the same slab one succeeds: that is what the locked instruction is for,
  // which costs little on a line that no other core has.
  uint8_t MarkFree(uint32_t unit) {
    if (unit < units_) {
      std::atomic<uint8_t>& leased = states_[unit].leased;
      uint8_t state = leased.load(std::memory_order_relaxed);
      if (state != 0 && leased.compare_exchange_strong(state, 0, std::memory_order_relaxed)) {
        return static_cast<uint8_t>(state - 1);
      }
    }
    refused_.value.fetch_add(1, std::memory_order_relaxed);
    return kNotLeased;
  }

  uint32_t TakeSome(uint32_t slab_class, uint32_t part, std::span<uint32_t> out);
  void PutBack(uint32_t slab_class, std::span<const uint32_t> units);
  void NoteMiss(uint32_t slab_class, uint32_t part);
  [[nodiscard]] uint32_t shortages() const {
    return shortages_.value.load(std::memory_order_relaxed);
  }
  void Enlist(Magazine* magazine);
  void Delist(Magazine* magazine);
  [[nodiscard]] uint32_t GenerationIndex(uint32_t unit) const;

  // Written once: read by all threads, and so on all their cores.
  const std::shared_ptr<Arena> arena_;
  const std::vector<uint32_t> class_bytes_;
  const uint32_t units_;  // of the parts, guards between them included
  const SlabStates states_;
  std::unique_ptr<std::atomic<uint32_t>[]> links_;  // by unit; of the shared lists
  std::vector<uint8_t> part_of_;                    // by unit / kPartStep
  std::vector<std::unique_ptr<PoolPart>> parts_;

  // Counts acquisitions that found nothing. Magazines look at it at each release, and give all
  // back when it has changed: so what is released after a miss can be had by the next who asks.
  CacheLine<std::atomic<uint32_t>> shortages_;
  CacheLine<std::atomic<uint64_t>> refused_;

  alignas(kCacheLineBytes) LargeRoom large_;

  alignas(kCacheLineBytes) std::mutex trimming_;  // one at a time
  std::atomic<uint64_t> trimmed_bytes_{0};
  std::mutex magazines_mutex_;
  std::vector<Magazine*> magazines_;

  // The JavaScript thread's. By unit, then by place in the room for large leases.
  alignas(kCacheLineBytes) std::vector<uint32_t> generations_;
  std::vector<bool> is_gone_;        // the buffer of the present generation
  std::vector<bool> is_listed_;      // in forgotten_
  std::vector<uint32_t> forgotten_;  // units; of some there may be a new buffer by now
};

static_assert(kHasOwnCacheLines<BufferPool>);

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_BUFFER_POOL_H_
