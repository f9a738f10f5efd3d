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
  Class& from = classes_[slab_class];
  if (from.first_partial == kNone) {
    const uint32_t chunk_index = TakeChunk();
    if (chunk_index == kNone) {
      ++from.stats.misses;
      return kNoSlab;
    }
    GiveChunk(chunk_index, slab_class);
  }
  const uint32_t chunk_index = from.first_partial;
  Chunk& chunk = chunks_[chunk_index];
  const uint32_t unit = chunk.first_free;
  chunk.first_free = next_free_[unit];
  ++chunk.in_use;
  if (chunk.first_free == kNone) UnlinkPartial(chunk_index);

  leased_class_[unit].store(static_cast<uint8_t>(slab_class), std::memory_order_relaxed);
  ++from.stats.acquired;
  ++from.stats.in_use;
  from.stats.high_water = std::max(from.stats.high_water, from.stats.in_use);
  return unit;
}

bool SlabPool::Release(uint32_t unit) {
  if (!IsLeased(unit)) return false;
  leased_class_[unit].store(kNotLeased, std::memory_order_relaxed);
  const uint32_t chunk_index = ChunkOf(unit);
  Chunk& chunk = chunks_[chunk_index];
  const bool was_full = chunk.first_free == kNone;
  next_free_[unit] = chunk.first_free;
  chunk.first_free = unit;
  --chunk.in_use;
  --classes_[chunk.owner].stats.in_use;
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
  stats.capacity = of.chunks * (units_per_chunk_ * kSlabUnitBytes / of.bytes);
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
  for (uint32_t index = 0; index < chunks_.size(); ++index) {
    if (chunks_[index].in_use != 0) continue;
    UnlinkPartial(index);
    --classes_[chunks_[index].owner].chunks;
    chunks_[index].owner = kNone;
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
