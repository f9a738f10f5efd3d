#include "memory/magazine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace ringbolt {

Magazine::Magazine(std::shared_ptr<BufferPool> pool, uint32_t part)
    : pool_(std::move(pool)),
      part_(part),
      seen_shortages_(pool_->shortages()),
      out_(std::make_unique<OutCounters[]>(pool_->part_count())) {
  RB_CHECK(part < pool_->part_count());
  const size_t part_bytes = pool_->arena()->parts()[part].bytes;
  for (uint32_t slab_class = 0; slab_class < pool_->class_count(); ++slab_class) {
    const size_t slab_bytes = pool_->class_bytes()[slab_class];
    const size_t most = std::min<size_t>(kMaxBytes, part_bytes / 16) / slab_bytes;
    racks_[slab_class].capacity =
        static_cast<uint32_t>(std::clamp<size_t>(most, 1, size_t{kMaxSlabs}));
  }
  pool_->Enlist(this);
}

Magazine::~Magazine() {
  Flush();
  pool_->Delist(this);
}

bool Magazine::Flush() {
  bool any = false;
  for (uint32_t slab_class = 0; slab_class < pool_->class_count(); ++slab_class) {
    any |= racks_[slab_class].count > 0;
    GiveOldest(slab_class, racks_[slab_class].count);
  }
  return any;
}

// What it holds of other classes goes first, before it says that there is nothing: a part's memory
// is free for all classes.
bool Magazine::Refill(uint32_t slab_class) {
  Rack& rack = racks_[slab_class];
  const std::span<uint32_t> half = std::span(rack.units).first((rack.capacity + 1) / 2);
  rack.count = pool_->TakeSome(slab_class, part_, half);
  if (rack.count == 0 && Flush()) rack.count = pool_->TakeSome(slab_class, part_, half);
  if (rack.count > 0) return true;
  pool_->NoteMiss(slab_class, part_);
  seen_shortages_ = pool_->shortages();
  return false;
}

// Those that were used last stay: more of them is in a cache.
void Magazine::GiveOldest(uint32_t slab_class, uint32_t count) {
  Rack& rack = racks_[slab_class];
  pool_->PutBack(slab_class, std::span(rack.units).first(count));
  std::copy(rack.units.begin() + count, rack.units.begin() + rack.count, rack.units.begin());
  rack.count -= count;
}

}  // namespace ringbolt
