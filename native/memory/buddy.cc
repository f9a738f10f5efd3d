#include "memory/buddy.h"

#include <bit>

#include "base/check.h"

namespace ringbolt {

Buddy::Buddy(uint32_t units) : units_(units) {
  RB_CHECK(units >= 1 && units <= kMaxUnits);
  const auto orders = static_cast<uint32_t>(std::bit_width(units));
  for (uint32_t order = 0; order < orders; ++order) free_.emplace_back(units >> order);
  // The largest blocks first, as the number of units has them in its bits.
  uint32_t unit = 0;
  for (uint32_t order = orders; order-- > 0;) {
    if (((units >> order) & 1) == 0) continue;
    Add(order, unit >> order);
    unit += 1U << order;
  }
}

uint32_t Buddy::Take(uint32_t order) {
  const uint32_t large_enough = order > max_order() ? 0 : orders_with_free_ & (~0U << order);
  if (large_enough == 0) return kNone;
  auto from = static_cast<uint32_t>(std::countr_zero(large_enough));
  uint32_t index = free_[from].FindNext(0);
  Remove(from, index);
  while (from > order) {  // keeps the lower half, frees the upper
    --from;
    index *= 2;
    Add(from, index + 1);
  }
  return index << order;
}

void Buddy::Give(uint32_t unit, uint32_t order) {
  RB_CHECK(order <= max_order() && (unit & ((1U << order) - 1)) == 0);
  uint32_t index = unit >> order;
  RB_CHECK(index < units_ >> order);
  // Free already, on its own or as part of a larger block: of those there are as many as orders.
  for (uint32_t above = order; above <= max_order(); ++above) {
    RB_CHECK(!IsFree(above, unit >> above));
  }
  while (IsFree(order, index ^ 1)) {
    Remove(order, index ^ 1);
    index /= 2;
    ++order;
  }
  Add(order, index);
}

void Buddy::TakeWithin(uint32_t unit, uint32_t order, std::vector<Block>* blocks) {
  for (uint32_t above = order; above <= max_order(); ++above) {
    uint32_t index = unit >> above;
    if (!IsFree(above, index)) continue;
    Remove(above, index);
    while (above > order) {  // keeps the half with the block in it, frees the other
      --above;
      index = unit >> above;
      Add(above, index ^ 1);
    }
    blocks->push_back({unit, order});
    return;
  }
  const uint32_t end = unit + (1U << order);
  for (uint32_t below = order; below-- > 0;) {
    if (below > max_order()) continue;
    for (;;) {
      const uint32_t found = FindFree(below, unit);
      if (found >= end) break;
      Remove(below, found >> below);
      blocks->push_back({found, below});
    }
  }
}

uint32_t Buddy::FindFree(uint32_t order, uint32_t unit) const {
  if (order > max_order()) return kNone;
  const uint32_t index =
      free_[order].FindNext((unit >> order) + ((unit & ((1U << order) - 1)) == 0 ? 0 : 1));
  return index == FreeBits::kNone ? kNone : index << order;
}

uint32_t Buddy::LargestFreeOrder() const {
  return orders_with_free_ == 0 ? kNone
                                : static_cast<uint32_t>(std::bit_width(orders_with_free_)) - 1;
}

bool Buddy::IsFree(uint32_t order, uint32_t index) const {
  return order <= max_order() && index < units_ >> order && free_[order].Test(index);
}

void Buddy::Add(uint32_t order, uint32_t index) {
  free_[order].Set(index);
  orders_with_free_ |= 1U << order;
  free_units_ += 1U << order;
}

void Buddy::Remove(uint32_t order, uint32_t index) {
  free_[order].Clear(index);
  if (free_[order].FindNext(0) == FreeBits::kNone) orders_with_free_ &= ~(1U << order);
  free_units_ -= 1U << order;
}

}  // namespace ringbolt
