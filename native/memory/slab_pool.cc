#include "memory/slab_pool.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/align.h"
#include "base/check.h"

namespace ringbolt {

SlabPool::SlabPool(std::shared_ptr<Arena> arena, const std::vector<uint32_t>& class_bytes)
    : arena_(std::move(arena)) {
  RB_CHECK(!class_bytes.empty() && class_bytes.size() <= kMaxSlabClasses);
  for (const uint32_t bytes : class_bytes) {
    RB_CHECK(std::has_single_bit(bytes) && bytes >= kSlabUnitBytes);
    RB_CHECK(classes_.empty() || bytes > classes_.back().bytes);
    Class& added = classes_.emplace_back();
    added.bytes = bytes;
    added.stats.slab_bytes = bytes;
  }
  const uint32_t chunk_bytes = class_bytes.back();
  units_per_chunk_ = chunk_bytes / kSlabUnitBytes;
  chunks_.resize(arena_->bytes() / chunk_bytes);
  RB_CHECK(!chunks_.empty());
  unused_chunks_ = static_cast<uint32_t>(chunks_.size());
  units_ = unused_chunks_ * units_per_chunk_;
  next_free_.assign(units_, kNone);
  buffer_generation_.assign(units_, 0);
  leased_class_ = std::make_unique<std::atomic<uint8_t>[]>(units_);
  for (uint32_t unit = 0; unit < units_; ++unit) {
    leased_class_[unit].store(kNotLeased, std::memory_order_relaxed);
  }
}

uint32_t SlabPool::Acquire(uint32_t slab_class) {
  RB_CHECK(slab_class < classes_.size());
  const uint32_t own = TakeFree(slab_class);
  if (own != kNoSlab) return own;
  uint32_t unit = TakeLarger(slab_class);
  if (unit == kNoSlab) unit = TakeJoined(slab_class);
  SlabClassStats& stats = classes_[slab_class].stats;
  ++(unit == kNoSlab ? stats.misses : stats.substituted);
  return unit;
}

// A free slab of exactly this class.
uint32_t SlabPool::TakeFree(uint32_t slab_class) {
  Class& from = classes_[slab_class];
  if (from.first_partial == kNone) {
    const uint32_t chunk_index = TakeChunk();
    if (chunk_index == kNone) return kNoSlab;
    GiveChunk(chunk_index, slab_class);
  }
  const uint32_t chunk_index = from.first_partial;
  Chunk& chunk = chunks_[chunk_index];
  const uint32_t unit = chunk.first_free;
  chunk.first_free = next_free_[unit];
  if (chunk.in_use++ == 0) --idle_chunks_;
  if (chunk.first_free == kNone) UnlinkPartial(chunk_index);
  return Lease(unit, slab_class);
}

// No chunk is to be had at this point: what larger classes have free is all there is.
uint32_t SlabPool::TakeLarger(uint32_t slab_class) {
  for (uint32_t larger = slab_class + 1; larger < classes_.size(); ++larger) {
    if (classes_[larger].first_partial != kNone) return TakeFree(larger);
  }
  return kNoSlab;
}

// Free neighbours of a smaller class: the next smaller first, since it takes the fewest of them.
uint32_t SlabPool::TakeJoined(uint32_t slab_class) {
  const uint32_t units = UnitsOf(slab_class);
  if (units == units_per_chunk_) return kNoSlab;  // that would be a chunk without any lease
  uint32_t looked_at = 0;
  for (uint32_t smaller = slab_class; smaller-- > 0;) {
    Class& from = classes_[smaller];
    const uint32_t parts = units / UnitsOf(smaller);
    const uint32_t slabs_per_chunk = units_per_chunk_ / UnitsOf(smaller);
    for (uint32_t index = from.first_partial; index != kNone; index = chunks_[index].next) {
      Chunk& chunk = chunks_[index];
      const bool enough = slabs_per_chunk - chunk.in_use >= parts;
      looked_at += enough ? units_per_chunk_ : 1;
      if (looked_at > std::max(kMaxJoinUnits, units_per_chunk_)) return kNoSlab;
      const uint32_t first = enough ? FindRun(index, units) : kNone;
      if (first == kNone) continue;
      UnchainRun(index, first, units);
      chunk.in_use += parts;  // it had some before: a chunk without any would have been taken whole
      if (chunk.first_free == kNone) UnlinkPartial(index);
      from.lent += parts;
      ++classes_[slab_class].joined;
      return Lease(first, slab_class);
    }
  }
  return kNoSlab;
}

// The first of so many free units in a row, aligned to their number; kNone if the chunk has no
// such run.
uint32_t SlabPool::FindRun(uint32_t chunk_index, uint32_t units) const {
  const uint32_t step = UnitsOf(chunks_[chunk_index].owner);
  const uint32_t begin = chunk_index * units_per_chunk_;
  uint32_t run = kNone;
  for (uint32_t unit = begin; unit < begin + units_per_chunk_;) {
    const uint8_t leased = leased_class_[unit].load(std::memory_order_relaxed);
    if (leased != kNotLeased) {
      run = kNone;
      unit += UnitsOf(leased);  // more than one step where slabs are joined
      continue;
    }
    if (unit % units == 0) run = unit;
    unit += step;
    if (run != kNone && unit - run == units) return run;
  }
  return kNone;
}

// Takes the slabs of a run out of their chunk's chain.
void SlabPool::UnchainRun(uint32_t chunk_index, uint32_t first, uint32_t units) {
  uint32_t* link = &chunks_[chunk_index].first_free;
  while (*link != kNone) {
    const uint32_t unit = *link;
    if (unit - first < units) {  // below `first` it wraps round
      *link = next_free_[unit];
    } else {
      link = &next_free_[unit];
    }
  }
}

uint32_t SlabPool::Lease(uint32_t unit, uint32_t slab_class) {
  leased_class_[unit].store(static_cast<uint8_t>(slab_class), std::memory_order_relaxed);
  SlabClassStats& stats = classes_[slab_class].stats;
  ++stats.acquired;
  ++stats.in_use;
  stats.high_water = std::max(stats.high_water, stats.in_use);
  return unit;
}

bool SlabPool::Release(uint32_t unit) {
  if (!IsLeased(unit)) return false;
  const uint32_t slab_class = leased_class_[unit].load(std::memory_order_relaxed);
  leased_class_[unit].store(kNotLeased, std::memory_order_relaxed);
  --classes_[slab_class].stats.in_use;
  const uint32_t chunk_index = ChunkOf(unit);
  Chunk& chunk = chunks_[chunk_index];
  const bool was_full = chunk.first_free == kNone;
  // One slab, or those that were joined; backwards, as in GiveChunk().
  const uint32_t step = UnitsOf(chunk.owner);
  const uint32_t parts = UnitsOf(slab_class) / step;
  for (uint32_t part = parts; part-- > 0;) {
    next_free_[unit + (part * step)] = chunk.first_free;
    chunk.first_free = unit + (part * step);
  }
  if (slab_class != chunk.owner) {
    --classes_[slab_class].joined;
    classes_[chunk.owner].lent -= parts;
  }
  chunk.in_use -= parts;
  if (chunk.in_use == 0) ++idle_chunks_;
  if (was_full) LinkPartial(chunk_index);
  return true;
}

uint32_t SlabPool::NextBufferGeneration(uint32_t unit) {
  RB_CHECK(unit < units_);
  return ++buffer_generation_[unit];
}

void SlabPool::NoteForgotten(const Forgotten& slab) {
  RB_CHECK(slab.unit < units_);
  if (buffer_generation_[slab.unit] == slab.generation && IsLeased(slab.unit)) {
    forgotten_.push_back(slab);
  }
}

bool SlabPool::Reclaim(const Forgotten& slab) {
  if (slab.unit >= units_ || buffer_generation_[slab.unit] != slab.generation) return false;
  if (!Release(slab.unit)) return false;
  ++leaked_;
  return true;
}

bool SlabPool::IsLeased(uint32_t unit) const {
  return unit < units_ && leased_class_[unit].load(std::memory_order_relaxed) != kNotLeased;
}

uint32_t SlabPool::SlabBytes(uint32_t unit) const {
  RB_CHECK(IsLeased(unit));
  return classes_[leased_class_[unit].load(std::memory_order_relaxed)].bytes;
}

uint8_t* SlabPool::SlabData(uint32_t unit) const {
  RB_CHECK(IsLeased(unit));
  return arena_->base() + (size_t{unit} * kSlabUnitBytes);
}

SlabClassStats SlabPool::ClassStats(uint32_t slab_class) const {
  RB_CHECK(slab_class < classes_.size());
  const Class& of = classes_[slab_class];
  SlabClassStats stats = of.stats;
  stats.capacity = (of.chunks * (units_per_chunk_ / UnitsOf(slab_class))) + of.joined - of.lent;
  return stats;
}

uint8_t* SlabPool::Resolve(uint32_t unit, uint32_t offset, uint32_t length) const {
  if (unit >= units_) return nullptr;
  const uint8_t slab_class = leased_class_[unit].load(std::memory_order_relaxed);
  if (slab_class == kNotLeased) return nullptr;
  if (uint64_t{offset} + length > classes_[slab_class].bytes) return nullptr;
  return arena_->base() + (size_t{unit} * kSlabUnitBytes) + offset;
}

// A chunk without an owner: one never used, else the first that its class does not need at the
// moment.
uint32_t SlabPool::TakeChunk() {
  if (unused_chunks_ > 0) return static_cast<uint32_t>(chunks_.size()) - unused_chunks_--;
  if (idle_chunks_ == 0) return kNone;
  for (uint32_t index = 0; index < chunks_.size(); ++index) {
    if (chunks_[index].in_use != 0) continue;
    UnlinkPartial(index);
    --classes_[chunks_[index].owner].chunks;
    chunks_[index].owner = kNone;
    --idle_chunks_;
    return index;
  }
  return kNone;
}

void SlabPool::GiveChunk(uint32_t chunk_index, uint32_t slab_class) {
  Chunk& chunk = chunks_[chunk_index];
  Class& to = classes_[slab_class];
  const uint32_t units_per_slab = to.bytes / kSlabUnitBytes;
  const uint32_t first = chunk_index * units_per_chunk_;
  chunk.owner = slab_class;
  chunk.first_free = kNone;
  // Backwards, so that slabs are handed out from the low end up.
  for (uint32_t end = first + units_per_chunk_; end > first; end -= units_per_slab) {
    const uint32_t unit = end - units_per_slab;
    next_free_[unit] = chunk.first_free;
    chunk.first_free = unit;
  }
  ++to.chunks;
  ++idle_chunks_;
  LinkPartial(chunk_index);
}

void SlabPool::LinkPartial(uint32_t chunk_index) {
  Chunk& chunk = chunks_[chunk_index];
  Class& owner = classes_[chunk.owner];
  chunk.previous = kNone;
  chunk.next = owner.first_partial;
  if (chunk.next != kNone) chunks_[chunk.next].previous = chunk_index;
  owner.first_partial = chunk_index;
}

void SlabPool::UnlinkPartial(uint32_t chunk_index) {
  Chunk& chunk = chunks_[chunk_index];
  if (chunk.previous != kNone) {
    chunks_[chunk.previous].next = chunk.next;
  } else {
    classes_[chunk.owner].first_partial = chunk.next;
  }
  if (chunk.next != kNone) chunks_[chunk.next].previous = chunk.previous;
  chunk.previous = kNone;
  chunk.next = kNone;
}

}  // namespace ringbolt
