#include "memory/pool_part.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace ringbolt {

namespace {

constexpr uint32_t kHugePageUnits = kHugePageBytes / kSlabUnitBytes;

}  // namespace

PoolPart::PoolPart(const PartInfo& info, std::vector<uint32_t> class_bytes, SlabLinks links)
    : class_bytes_(std::move(class_bytes)),
      links_(links),
      first_unit_(static_cast<uint32_t>(info.offset / kSlabUnitBytes)),
      bytes_(info.bytes),
      pages_(info.pages),
      buddy_(static_cast<uint32_t>(info.bytes / kSlabUnitBytes)),
      no_pages_(info.bytes / kSlabUnitBytes, !info.populated) {}

uint32_t PoolPart::Take(uint32_t slab_class, std::span<uint32_t> out) {
  RB_CHECK(!out.empty() && out.size() <= kMaxBatch);
  SharedList& list = lists_[slab_class];
  uint32_t count = list.Pop(links_, out);
  if (count > 0) return count;
  std::unique_lock lock(mutex_);
  for (;;) {
    // Whoever had the lock before may have drained, and others may have put some back since.
    count = list.Pop(links_, out);
    if (count == 0) count = Cut(slab_class, out);
    if (count == 0) {
      Drain();
      count = Cut(slab_class, out);
    }
    if (count > 0 || !trimming_) return count;
    // The next step waits for this thread: so the wait is for one of them, and all that is free is
    // there when this has the lock.
    ++waiting_;
    trimmed_.wait(lock, [this] { return !trimming_; });
    if (--waiting_ == 0) trimmed_.notify_all();
  }
}

// Neighbours as far as possible: one block as large as the whole batch, cut up. So what one thread
// gets together joins again when it comes back together.
uint32_t PoolPart::Cut(uint32_t slab_class, std::span<uint32_t> out) {
  const uint32_t slab_order = OrderOf(slab_class);
  const uint32_t slab_units = 1U << slab_order;
  uint32_t count = 0;
  while (count < out.size()) {
    const auto missing = static_cast<uint32_t>(out.size()) - count;
    uint32_t order = slab_order + static_cast<uint32_t>(std::bit_width(missing)) - 1;
    uint32_t block = buddy_.Take(order);
    while (block == Buddy::kNone && order > slab_order) block = buddy_.Take(--order);
    if (block == Buddy::kNone) break;
    const uint32_t units = 1U << order;
    std::fill_n(no_pages_.begin() + block, units, false);
    // From the high end down: magazines hand out the last first.
    for (uint32_t end = block + units; end > block; end -= slab_units) {
      out[count++] = first_unit_ + end - slab_units;
    }
  }
  counters(slab_class).cut.fetch_add(count, std::memory_order_relaxed);
  return count;
}

// All that is in lists becomes uncut memory.
void PoolPart::Drain() {
  for (uint32_t slab_class = 0; slab_class < class_bytes_.size(); ++slab_class) {
    uint64_t count = 0;
    for (uint32_t unit = lists_[slab_class].TakeAll(); unit != SharedList::kNone; ++count) {
      buddy_.Give(unit - first_unit_, OrderOf(slab_class));
      unit = links_[unit].load(std::memory_order_relaxed);
    }
    if (count > 0) counters(slab_class).cut.fetch_sub(count, std::memory_order_relaxed);
  }
}

size_t PoolPart::Trim(const Arena& arena) {
  if (pages_ == PageKind::kHugetlb) return 0;  // see Arena::Discard
  {
    const std::lock_guard lock(mutex_);
    Drain();
  }
  size_t bytes = 0;
  const auto units = static_cast<uint32_t>(bytes_ / kSlabUnitBytes);
  for (uint32_t window = 0; window < units; window += 1U << kTrimOrder) {
    bytes += TrimWindow(arena, window);
  }
  return bytes;
}

size_t PoolPart::TrimWindow(const Arena& arena, uint32_t window) {
  std::vector<Buddy::Block> blocks;
  std::unique_lock lock(mutex_);
  trimmed_.wait(lock, [this] { return waiting_ == 0; });
  buddy_.TakeWithin(window, kTrimOrder, &blocks);
  std::vector<MemoryRange> ranges = Untrimmed(blocks);
  if (!ranges.empty()) {
    trimming_ = true;
    lock.unlock();
    std::erase_if(ranges, [&](const MemoryRange& range) {
      const size_t offset = (size_t{first_unit_} + range.begin) * kSlabUnitBytes;
      return !arena.Discard(offset, (range.end - range.begin) * kSlabUnitBytes);
    });
    lock.lock();
    trimming_ = false;
    trimmed_.notify_all();
  }
  size_t units = 0;
  for (const MemoryRange& range : ranges) {
    units += range.end - range.begin;
    std::fill(no_pages_.begin() + static_cast<ptrdiff_t>(range.begin),
              no_pages_.begin() + static_cast<ptrdiff_t>(range.end), true);
  }
  for (const Buddy::Block& block : blocks) buddy_.Give(block.unit, block.order);
  return units * kSlabUnitBytes;
}

// The ranges of units, in these blocks, that still have pages to give back. Whole huge pages only
// where they are in use: a part of one would first be split from it, and leave the rest in 4 KiB
// pages for ever.
std::vector<MemoryRange> PoolPart::Untrimmed(const std::vector<Buddy::Block>& blocks) const {
  std::vector<MemoryRange> free;
  free.reserve(blocks.size());
  for (const Buddy::Block& block : blocks) {
    free.push_back({block.unit, uintptr_t{block.unit} + (1U << block.order)});
  }
  std::ranges::sort(free, {}, &MemoryRange::begin);
  const uint32_t step = pages_ == PageKind::kPlain ? 1 : kHugePageUnits;
  std::vector<MemoryRange> ranges;
  for (size_t i = 0; i < free.size();) {
    MemoryRange merged = free[i];
    for (++i; i < free.size() && free[i].begin == merged.end; ++i) merged.end = free[i].end;
    for (uintptr_t unit = AlignUp(merged.begin, step); unit + step <= merged.end; unit += step) {
      if (IsTrimmed(static_cast<uint32_t>(unit), static_cast<uint32_t>(unit + step))) continue;
      if (!ranges.empty() && ranges.back().end == unit) {
        ranges.back().end = unit + step;
      } else {
        ranges.push_back({unit, unit + step});
      }
    }
  }
  return ranges;
}

size_t PoolPart::UncutBytes() {
  const std::lock_guard lock(mutex_);
  return size_t{buddy_.free_units()} * kSlabUnitBytes;
}

size_t PoolPart::LargestUncutBytes() {
  const std::lock_guard lock(mutex_);
  return buddy_.free_units() == 0 ? 0 : size_t{kSlabUnitBytes} << buddy_.LargestFreeOrder();
}

uint32_t PoolPart::OrderOf(uint32_t slab_class) const {
  return static_cast<uint32_t>(std::countr_zero(class_bytes_[slab_class] / kSlabUnitBytes));
}

bool PoolPart::IsTrimmed(uint32_t from, uint32_t to) const {
  return std::all_of(no_pages_.begin() + from, no_pages_.begin() + to,
                     [](bool trimmed) { return trimmed; });
}

}  // namespace ringbolt
