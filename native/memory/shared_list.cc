#include "memory/shared_list.h"

namespace ringbolt {

namespace {

uint32_t UnitOf(uint64_t head) { return static_cast<uint32_t>(head); }

uint64_t NextHead(uint64_t head, uint32_t unit) {
  const uint64_t tag = (head >> 32) + 1;
  return (tag << 32) | unit;
}

}  // namespace

uint32_t SharedList::Pop(SlabLinks links, std::span<uint32_t> out) {
  uint64_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    uint32_t unit = UnitOf(head);
    uint32_t count = 0;
    for (; count < out.size() && unit != kNone; ++count) {
      out[count] = unit;
      unit = links[unit].load(std::memory_order_relaxed);
    }
    if (count == 0) return 0;
    if (head_.compare_exchange_weak(head, NextHead(head, unit), std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return count;
    }
  }
}

void SharedList::Push(SlabLinks links, std::span<const uint32_t> units) {
  if (units.empty()) return;
  for (size_t i = 0; i + 1 < units.size(); ++i) {
    links[units[i]].store(units[i + 1], std::memory_order_relaxed);
  }
  uint64_t head = head_.load(std::memory_order_relaxed);
  do {
    links[units.back()].store(UnitOf(head), std::memory_order_relaxed);
  } while (!head_.compare_exchange_weak(head, NextHead(head, units.front()),
                                        std::memory_order_acq_rel, std::memory_order_relaxed));
}

uint32_t SharedList::TakeAll() {
  uint64_t head = head_.load(std::memory_order_acquire);
  while (UnitOf(head) != kNone &&
         !head_.compare_exchange_weak(head, NextHead(head, kNone), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
  }
  return UnitOf(head);
}

}  // namespace ringbolt
