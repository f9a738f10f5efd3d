#include "memory/large_room.h"

#include <algorithm>
#include <bit>

#include "base/align.h"

namespace ringbolt {

namespace {

// The smallest block that holds so much; `bytes` >= 1.
uint32_t OrderFor(size_t bytes) {
  return static_cast<uint32_t>(std::bit_width((bytes - 1) / kHugePageBytes));
}

}  // namespace

LargeRoom::LargeRoom(const Arena& arena)
    : arena_(arena),
      first_unit_(static_cast<uint32_t>(arena.large_offset() / kSlabUnitBytes)),
      places_(static_cast<uint32_t>(arena.large_bytes() / kHugePageBytes)),
      bytes_(std::make_unique<std::atomic<size_t>[]>(places_)) {
  if (places_ > 0) buddy_ = std::make_unique<Buddy>(places_);
  stats_.room_bytes = arena.large_bytes();
}

uint32_t LargeRoom::Acquire(size_t bytes) {
  const std::lock_guard lock(mutex_);
  uint32_t place = Buddy::kNone;
  if (buddy_ != nullptr && bytes > 0 && bytes <= stats_.room_bytes) {
    place = buddy_->Take(OrderFor(bytes));
  }
  if (place == Buddy::kNone) {
    ++stats_.misses;
    return kNoSlab;
  }
  const size_t page_bytes = AlignUp(bytes, kPageBytes);
  ++stats_.acquired;
  ++stats_.out;
  stats_.bytes_out += page_bytes;
  stats_.high_water_bytes = std::max(stats_.high_water_bytes, stats_.bytes_out);
  bytes_[place].store(page_bytes, std::memory_order_relaxed);
  return first_unit_ + (place * kPlaceUnits);
}

bool LargeRoom::Release(uint32_t unit) {
  const std::optional<uint32_t> place = PlaceOf(unit);
  if (!place.has_value()) return false;
  // Of two that release the same, one gets the bytes.
  const size_t bytes = bytes_[*place].exchange(0, std::memory_order_relaxed);
  if (bytes == 0) return false;
  // Before the next may have it, and outside the lock. In whole huge pages, which may reach beyond
  // what was leased.
  const size_t offset = arena_.large_offset() + (size_t{*place} * kHugePageBytes);
  const bool discarded = arena_.Discard(offset, AlignUp(bytes, kHugePageBytes));
  const std::lock_guard lock(mutex_);
  if (!discarded) ++stats_.kept;
  --stats_.out;
  stats_.bytes_out -= bytes;
  buddy_->Give(*place, OrderFor(bytes));
  return true;
}

size_t LargeRoom::BytesOf(uint32_t unit) const {
  const std::optional<uint32_t> place = PlaceOf(unit);
  return place.has_value() ? bytes_[*place].load(std::memory_order_relaxed) : 0;
}

std::optional<uint32_t> LargeRoom::PlaceOf(uint32_t unit) const {
  if (unit < first_unit_ || (unit - first_unit_) % kPlaceUnits != 0) return std::nullopt;
  const uint32_t place = (unit - first_unit_) / kPlaceUnits;
  return place < places_ ? std::optional(place) : std::nullopt;
}

LargeStats LargeRoom::Stats() {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace ringbolt
