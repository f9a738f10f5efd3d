// Slabs of power-of-two size classes, cut from one arena.
//
//   arena   | chunk 0 | chunk 1 | chunk 2 | ...      a chunk is as large as the largest class
//   chunk   | slab | slab | slab | slab |            all slabs of a chunk are of one class
//
// A chunk belongs to no class until one runs short; it stays with that class, and moves to another
// only when all its slabs are free and no unused chunk is left. So a workload of one size may use
// the whole arena, and none needs to be foretold.
//
// A pool of few chunks would serve few sizes at a time. So who finds neither a slab of his class
// nor a chunk gets a substitute: a larger slab, or neighbours joined,
//
//   chunk of 4 KiB slabs   | x | . | . | . | x | x | . | . |    x: leased
//                                  |  8 KiB |                   aligned to its size, as all slabs
//
// which fall apart again on release.
//
// A slab is named by its unit: its offset in the arena divided by 4 KiB. Units are what JavaScript
// holds and writes into op slots; Resolve() turns one into memory and is the place where nothing
// outside a leased slab gets through.
//
// Threads: everything belongs to the JavaScript thread, except Resolve(), which any thread may
// call. It reads one byte a unit, written with relaxed stores: the op slot that names the unit was
// published after the lease was taken, through the submission ring, and that orders the two. If
// JavaScript releases a slab that is in flight, Resolve() may still succeed: the memory stays
// inside the pool either way.

#ifndef RINGBOLT_MEMORY_SLAB_POOL_H_
#define RINGBOLT_MEMORY_SLAB_POOL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "memory/arena.h"
#include "memory/slab.h"

namespace ringbolt {

struct SlabClassStats {
  uint32_t slab_bytes = 0;
  uint32_t capacity = 0;    // slabs there are now: in this class's chunks, or joined in others'
  uint32_t in_use = 0;      // leased slabs
  uint32_t high_water = 0;  // most ever leased at once
  uint64_t acquired = 0;
  uint64_t substituted = 0;  // acquisitions that got a larger slab, or joined ones
  uint64_t misses = 0;       // acquisitions that found nothing
};

class SlabPool {
 public:
  // `class_bytes`: ascending powers of two from 4 KiB up, at most kMaxSlabClasses; the arena holds
  // at least one slab of the largest.
  SlabPool(std::shared_ptr<Arena> arena, const std::vector<uint32_t>& class_bytes);
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  // --- JavaScript thread ---

  // The unit of a free slab of this class, or of one that can stand in for it: SlabBytes() may be
  // more. kNoSlab if there is none. Its memory holds whatever was there before.
  uint32_t Acquire(uint32_t slab_class);

  // False, and nothing happens, if `unit` does not name a leased slab.
  bool Release(uint32_t unit);

  // Every ArrayBuffer over a slab gets a number; only the last one made may reclaim the slab.
  uint32_t NextBufferGeneration(uint32_t unit);

  // Called when the ArrayBuffer of that generation is gone for good. If its slab is still leased,
  // then the lease was forgotten, or its memory was detached; whether the slab may be taken back,
  // only the lease's side knows, which asks by TakeForgotten() and answers by Reclaim().
  struct Forgotten {
    uint32_t unit = 0;
    uint32_t generation = 0;
  };
  void NoteForgotten(const Forgotten& slab);
  std::vector<Forgotten> TakeForgotten() { return std::exchange(forgotten_, {}); }

  // Releases the slab and counts it as leaked, if that is still its last buffer and it is still
  // leased.
  bool Reclaim(const Forgotten& slab);

  [[nodiscard]] bool IsLeased(uint32_t unit) const;
  [[nodiscard]] uint32_t SlabBytes(uint32_t unit) const;  // requires IsLeased(unit)
  [[nodiscard]] uint8_t* SlabData(uint32_t unit) const;   // requires IsLeased(unit)
  [[nodiscard]] uint32_t class_count() const { return static_cast<uint32_t>(classes_.size()); }
  [[nodiscard]] SlabClassStats ClassStats(uint32_t slab_class) const;
  [[nodiscard]] uint64_t leaked() const { return leaked_; }
  [[nodiscard]] const std::shared_ptr<Arena>& arena() const { return arena_; }

  // --- Any thread ---

  // The memory of [offset, offset + length) in the leased slab `unit`, or nullptr if that is not
  // all inside a leased slab.
  [[nodiscard]] uint8_t* Resolve(uint32_t unit, uint32_t offset, uint32_t length) const;

 private:
  static constexpr uint8_t kNotLeased = UINT8_MAX;
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Chunk {
    uint32_t owner = kNone;       // class, or kNone
    uint32_t in_use = 0;          // slabs of the owner's size that are leased, or part of a lease
    uint32_t first_free = kNone;  // unit; the chain goes on in next_free_
    uint32_t previous = kNone;    // neighbours in the owner's list of chunks with free slabs
    uint32_t next = kNone;
  };
  struct Class {
    uint32_t bytes = 0;
    uint32_t chunks = 0;
    uint32_t first_partial = kNone;  // chunks with at least one free slab
    uint32_t joined = 0;             // leased slabs of this class in chunks of smaller ones
    uint32_t lent = 0;               // slabs of this class that are part of such
    SlabClassStats stats;
  };

  [[nodiscard]] uint32_t ChunkOf(uint32_t unit) const { return unit / units_per_chunk_; }
  // Joining looks at this many units at most: it must not hold up the event loop.
  static constexpr uint32_t kMaxJoinUnits = 16384;

  uint32_t TakeChunk();
  void GiveChunk(uint32_t chunk_index, uint32_t slab_class);
  uint32_t TakeFree(uint32_t slab_class);
  uint32_t TakeLarger(uint32_t slab_class);
  uint32_t TakeJoined(uint32_t slab_class);
  [[nodiscard]] uint32_t FindRun(uint32_t chunk_index, uint32_t units) const;
  void UnchainRun(uint32_t chunk_index, uint32_t first, uint32_t units);
  uint32_t Lease(uint32_t unit, uint32_t slab_class);
  [[nodiscard]] uint32_t UnitsOf(uint32_t slab_class) const {
    return classes_[slab_class].bytes / kSlabUnitBytes;
  }
  void LinkPartial(uint32_t chunk_index);
  void UnlinkPartial(uint32_t chunk_index);

  const std::shared_ptr<Arena> arena_;
  std::vector<Class> classes_;
  std::vector<Chunk> chunks_;
  uint32_t units_per_chunk_ = 0;
  uint32_t unused_chunks_ =
      0;                      // chunks_[chunks_.size() - unused_chunks_ ...] belong to no class yet
  uint32_t idle_chunks_ = 0;  // chunks with an owner and no leased slab
  uint64_t leaked_ = 0;
  std::vector<Forgotten>
      forgotten_;  // at most one for each ArrayBuffer ever made and not yet asked about
  std::vector<uint32_t> next_free_;                       // by unit
  std::vector<uint32_t> buffer_generation_;               // by unit
  std::unique_ptr<std::atomic<uint8_t>[]> leased_class_;  // by unit
  uint32_t units_ = 0;
};

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_SLAB_POOL_H_
