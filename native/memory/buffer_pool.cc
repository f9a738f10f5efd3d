#include "memory/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"
#include "memory/magazine.h"

namespace ringbolt {

namespace {

uint32_t UnitsOfParts(const Arena& arena) {
  const PartInfo& last = arena.parts().back();
  RB_CHECK(arena.bytes() / kSlabUnitBytes < Buddy::kMaxUnits);
  return static_cast<uint32_t>((last.offset + last.bytes) / kSlabUnitBytes);
}

}  // namespace

BufferPool::BufferPool(std::shared_ptr<Arena> arena, const std::vector<uint32_t>& class_bytes)
    : arena_(std::move(arena)),
      class_bytes_(class_bytes),
      units_(UnitsOfParts(*arena_)),
      states_(MakeStates(units_)),
      links_(std::make_unique<std::atomic<uint32_t>[]>(units_)),
      large_(*arena_),
      generations_(units_ + large_.places(), 0),
      is_gone_(generations_.size(), false),
      is_listed_(generations_.size(), false) {
  RB_CHECK(!class_bytes_.empty() && class_bytes_.size() <= kMaxSlabClasses);
  for (size_t i = 0; i < class_bytes_.size(); ++i) {
    RB_CHECK(std::has_single_bit(class_bytes_[i]) && class_bytes_[i] >= kSlabUnitBytes);
    RB_CHECK(i == 0 || class_bytes_[i] > class_bytes_[i - 1]);
  }
  RB_CHECK(arena_->parts().size() <= kMaxParts);
  part_of_.resize((units_ / kPartStep) + 1);
  for (const PartInfo& info : arena_->parts()) {
    const auto first = static_cast<uint32_t>(info.offset / kSlabUnitBytes);
    const uint32_t last = first + static_cast<uint32_t>(info.bytes / kSlabUnitBytes) - 1;
    std::fill(part_of_.begin() + first / kPartStep, part_of_.begin() + last / kPartStep + 1,
              static_cast<uint8_t>(parts_.size()));
    parts_.push_back(
        std::make_unique<PoolPart>(info, class_bytes_, SlabLinks(links_.get(), units_)));
  }
}

// Pages of zeroes, which is what no lease looks like; they come as they are written.
BufferPool::SlabStates BufferPool::MakeStates(uint32_t units) {
  const size_t bytes = size_t{units} * sizeof(SlabState);
  void* states = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  RB_CHECK(states != MAP_FAILED);
  return {static_cast<SlabState*>(states), Unmap{bytes}};
}

void BufferPool::Unmap::operator()(SlabState* states) const { munmap(states, bytes); }

uint32_t BufferPool::AcquireMany(uint32_t slab_class, uint32_t part, std::span<uint32_t> out) {
  RB_CHECK(slab_class < class_count() && part < part_count());
  uint32_t total = 0;
  while (total < out.size()) {
    const size_t batch = std::min<size_t>(out.size() - total, PoolPart::kMaxBatch);
    const uint32_t count = TakeSome(slab_class, part, out.subspan(total, batch));
    if (count == 0) break;
    for (const uint32_t unit : out.subspan(total, count)) MarkLeased(unit, slab_class);
    // All of a batch are of one part.
    parts_[PartOf(out[total])]
        ->counters(slab_class)
        .out.fetch_add(count, std::memory_order_relaxed);
    total += count;
  }
  parts_[part]->counters(slab_class).acquired.fetch_add(total, std::memory_order_relaxed);
  if (total == 0 && !out.empty()) NoteMiss(slab_class, part);
  return total;
}

uint32_t BufferPool::ReleaseMany(std::span<const uint32_t> units) {
  uint32_t total = 0;
  std::array<uint32_t, PoolPart::kMaxBatch> batch;
  uint32_t size = 0;
  uint8_t batch_class = kNotLeased;
  const auto put_batch = [&] {
    if (size > 0) PutBack(batch_class, std::span(batch).first(size));
    size = 0;
  };
  for (const uint32_t unit : units) {
    const uint8_t slab_class = MarkFree(unit);
    if (slab_class == kNotLeased) continue;
    parts_[PartOf(unit)]->counters(slab_class).out.fetch_sub(1, std::memory_order_relaxed);
    if (slab_class != batch_class || size == batch.size()) put_batch();
    batch_class = slab_class;
    batch[size++] = unit;
    ++total;
  }
  put_batch();
  return total;
}

bool BufferPool::ReleaseLarge(uint32_t unit) {
  const bool released = large_.Release(unit);
  if (!released) refused_.value.fetch_add(1, std::memory_order_relaxed);
  return released;
}

size_t BufferPool::Trim() {
  const std::lock_guard lock(trimming_);
  size_t bytes = 0;
  for (const std::unique_ptr<PoolPart>& part : parts_) bytes += part->Trim(*arena_);
  trimmed_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return bytes;
}

size_t BufferPool::LeasedBytes(uint32_t unit) const {
  if (unit >= units_) return large_.BytesOf(unit);
  const uint8_t state = states_[unit].leased.load(std::memory_order_relaxed);
  return state == 0 ? 0 : class_bytes_[state - 1];
}

uint8_t* BufferPool::SlabData(uint32_t unit) const {
  RB_CHECK(IsLeased(unit));
  return arena_->base() + (size_t{unit} * kSlabUnitBytes);
}

size_t BufferPool::LargestUncutBytes() const {
  size_t largest = 0;
  for (const auto& part : parts_) largest = std::max(largest, part->LargestUncutBytes());
  return largest;
}

PoolStats BufferPool::Stats() {
  PoolStats stats;
  for (const std::unique_ptr<PoolPart>& part : parts_) {
    PoolPartStats& of_part = stats.parts.emplace_back();
    of_part.bytes = part->bytes();
    of_part.uncut_bytes = part->UncutBytes();
    const auto index = static_cast<uint32_t>(stats.parts.size()) - 1;
    for (uint32_t slab_class = 0; slab_class < class_count(); ++slab_class) {
      const SharedList::Counters& counters = part->counters(slab_class);
      PoolClassStats& of_class = of_part.classes.emplace_back();
      const std::lock_guard lock(magazines_mutex_);
      int64_t out = counters.out.load(std::memory_order_relaxed);
      of_class.slab_bytes = class_bytes_[slab_class];
      of_class.cut = counters.cut.load(std::memory_order_relaxed);
      of_class.acquired = counters.acquired.load(std::memory_order_relaxed);
      of_class.refills = counters.refills.load(std::memory_order_relaxed);
      of_class.misses = counters.misses.load(std::memory_order_relaxed);
      of_class.remote = counters.remote.load(std::memory_order_relaxed);
      for (const Magazine* magazine : magazines_) {
        out += magazine->OutOf(slab_class, index);
        of_class.acquired += magazine->AcquiredFrom(slab_class, index);
      }
      // One magazine's release may have been read, and not yet the other's acquisition before it.
      of_class.out = static_cast<uint64_t>(std::max<int64_t>(out, 0));
    }
  }
  stats.large = large_.Stats();
  stats.trimmed_bytes = trimmed_bytes_.load(std::memory_order_relaxed);
  stats.refused = refused_.value.load(std::memory_order_relaxed);
  return stats;
}

uint32_t BufferPool::NextBufferGeneration(uint32_t unit) {
  RB_CHECK(IsLeased(unit));
  const uint32_t index = GenerationIndex(unit);
  is_gone_[index] = false;
  return ++generations_[index];
}

void BufferPool::NoteForgotten(const Forgotten& buffer) {
  const uint32_t index = GenerationIndex(buffer.unit);
  if (index >= generations_.size()) return;
  if (buffer.generation == 0 || buffer.generation != generations_[index]) return;
  is_gone_[index] = true;
  if (is_listed_[index]) return;  // from an earlier buffer, or told twice
  is_listed_[index] = true;
  forgotten_.push_back(buffer.unit);
}

std::vector<BufferPool::Forgotten> BufferPool::TakeForgotten() {
  std::vector<Forgotten> gone;
  for (const uint32_t unit : std::exchange(forgotten_, {})) {
    const uint32_t index = GenerationIndex(unit);
    is_listed_[index] = false;
    if (!is_gone_[index]) continue;
    is_gone_[index] = false;
    gone.push_back({.unit = unit, .generation = generations_[index]});
  }
  return gone;
}

// UINT32_MAX for what can be no unit.
uint32_t BufferPool::GenerationIndex(uint32_t unit) const {
  if (unit < units_) return unit;
  const std::optional<uint32_t> place = large_.PlaceOf(unit);
  return place.has_value() ? units_ + *place : UINT32_MAX;
}

// Slabs that are not marked as leased yet.
uint32_t BufferPool::TakeSome(uint32_t slab_class, uint32_t part, std::span<uint32_t> out) {
  SharedList::Counters& counters = parts_[part]->counters(slab_class);
  uint32_t count = parts_[part]->Take(slab_class, out);
  if (count > 0) {
    counters.refills.fetch_add(1, std::memory_order_relaxed);
    return count;
  }
  // One at a time: what is far away is not worth keeping, and its own threads need it.
  for (uint32_t step = 1; step < part_count(); ++step) {
    const uint32_t other = (part + step) % part_count();
    count = parts_[other]->Take(slab_class, out.first(1));
    if (count == 0) continue;
    counters.remote.fetch_add(1, std::memory_order_relaxed);
    return count;
  }
  return 0;
}

// Slabs that are not marked as leased any more, of one class and any parts.
void BufferPool::PutBack(uint32_t slab_class, std::span<const uint32_t> units) {
  for (size_t begin = 0; begin < units.size();) {
    const uint32_t part = PartOf(units[begin]);
    size_t end = begin + 1;
    while (end < units.size() && PartOf(units[end]) == part) ++end;
    parts_[part]->Put(slab_class, units.subspan(begin, end - begin));
    begin = end;
  }
}

void BufferPool::NoteMiss(uint32_t slab_class, uint32_t part) {
  parts_[part]->counters(slab_class).misses.fetch_add(1, std::memory_order_relaxed);
  shortages_.value.fetch_add(1, std::memory_order_relaxed);
}

void BufferPool::Enlist(Magazine* magazine) {
  const std::lock_guard lock(magazines_mutex_);
  magazines_.push_back(magazine);
}

// What the magazine has counted goes on counting.
void BufferPool::Delist(Magazine* magazine) {
  const std::lock_guard lock(magazines_mutex_);
  std::erase(magazines_, magazine);
  for (uint32_t part = 0; part < part_count(); ++part) {
    for (uint32_t slab_class = 0; slab_class < class_count(); ++slab_class) {
      SharedList::Counters& counters = parts_[part]->counters(slab_class);
      counters.out.fetch_add(magazine->OutOf(slab_class, part), std::memory_order_relaxed);
      counters.acquired.fetch_add(magazine->AcquiredFrom(slab_class, part),
                                  std::memory_order_relaxed);
    }
  }
}

}  // namespace ringbolt
