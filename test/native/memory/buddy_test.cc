// Shows that blocks never overlap, are aligned, come from the lowest place that serves, and join
// again: a block that the units at hand could make up is always to be had.

#include "memory/buddy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "support/seed.h"

namespace ringbolt {

namespace {

// What is free, unit by unit.
class Model {
 public:
  explicit Model(uint32_t units) : free_(units, true) {}

  bool IsFree(uint32_t unit, uint32_t order) const {
    for (uint32_t i = 0; i < 1U << order; ++i) {
      if (unit + i >= free_.size() || !free_[unit + i]) return false;
    }
    return true;
  }

  // The block that is to be taken: the first of the smallest order of free blocks that will do,
  // where blocks are as large as they can be.
  uint32_t Expected(uint32_t order) const {
    for (uint32_t size = order; 1U << size <= free_.size(); ++size) {
      for (uint32_t unit = 0; unit < free_.size(); unit += 1U << size) {
        const bool joined = IsFree(unit & ~((2U << size) - 1), size + 1);
        if (IsFree(unit, size) && !joined) return unit;
      }
    }
    return Buddy::kNone;
  }

  void Mark(uint32_t unit, uint32_t order, bool free) {
    for (uint32_t i = 0; i < 1U << order; ++i) free_[unit + i] = free;
  }

  uint32_t FreeUnits() const {
    return static_cast<uint32_t>(std::count(free_.begin(), free_.end(), true));
  }

 private:
  std::vector<bool> free_;
};

// All free blocks, through FindFree(): they do not overlap and are what the model has free.
void CheckFreeBlocks(const Buddy& buddy, Model model) {
  for (uint32_t order = 0; order <= buddy.max_order(); ++order) {
    for (uint32_t unit = buddy.FindFree(order, 0); unit != Buddy::kNone;
         unit = buddy.FindFree(order, unit + 1)) {
      REQUIRE(model.IsFree(unit, order));
      model.Mark(unit, order, false);
    }
  }
  REQUIRE(model.FreeUnits() == 0);
}

}  // namespace

TEST_CASE("Buddy: random use agrees with a model") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const uint32_t units : {1U, 2U, 3U, 64U, 100U, 129U, 300U}) {
    CAPTURE(units);
    Buddy buddy(units);
    Model model(units);
    std::map<uint32_t, uint32_t> taken;  // unit -> order
    for (int step = 0; step < 4'000; ++step) {
      const auto choice = random() % 20;
      const auto order = static_cast<uint32_t>(random() % 10);
      if (choice == 0) {  // a window is emptied, and filled again
        const auto window = static_cast<uint32_t>(random() % units) & ~((1U << order) - 1);
        std::vector<Buddy::Block> blocks;
        buddy.TakeWithin(window, order, &blocks);
        for (const Buddy::Block& block : blocks) {
          REQUIRE(model.IsFree(block.unit, block.order));
          REQUIRE(block.unit >= window);
          REQUIRE(block.unit + (1U << block.order) <= window + (1U << order));
          model.Mark(block.unit, block.order, false);
        }
        for (uint32_t unit = window; unit < window + (1U << order); ++unit) {
          REQUIRE_FALSE(model.IsFree(unit, 0));
        }
        CheckFreeBlocks(buddy, model);
        for (const Buddy::Block& block : blocks) {
          buddy.Give(block.unit, block.order);
          model.Mark(block.unit, block.order, true);
        }
      } else if (choice < 11) {
        const uint32_t expected = model.Expected(order);
        const uint32_t unit = buddy.Take(order);
        REQUIRE(unit == expected);
        if (unit == Buddy::kNone) continue;
        model.Mark(unit, order, false);
        taken[unit] = order;
      } else if (!taken.empty()) {
        auto chosen = taken.lower_bound(static_cast<uint32_t>(random() % units));
        if (chosen == taken.end()) chosen = taken.begin();
        auto [unit, whole] = *chosen;
        taken.erase(chosen);
        if (whole > 0 && choice > 16) {  // comes back in two halves
          --whole;
          taken[unit + (1U << whole)] = whole;
        }
        buddy.Give(unit, whole);
        model.Mark(unit, whole, true);
      }
      REQUIRE(buddy.free_units() == model.FreeUnits());
      const uint32_t largest = buddy.LargestFreeOrder();
      if (largest == Buddy::kNone) {
        REQUIRE(buddy.free_units() == 0);
      } else {
        REQUIRE(buddy.FindFree(largest, 0) != Buddy::kNone);
        REQUIRE(buddy.FindFree(largest + 1, 0) == Buddy::kNone);
      }
    }
    CheckFreeBlocks(buddy, model);
    for (const auto& [unit, order] : taken) buddy.Give(unit, order);
    CHECK(buddy.free_units() == units);
    CHECK(buddy.LargestFreeOrder() == buddy.max_order());
  }
}

TEST_CASE("Buddy: a large range is found through in a few steps") {
  Buddy buddy(1U << 24);
  std::vector<uint32_t> taken;
  for (int i = 0; i < 100'000; ++i) taken.push_back(buddy.Take(0));
  for (uint32_t i = 0; i < taken.size(); ++i) REQUIRE(taken[i] == i);
  CHECK(buddy.Take(23) == 1U << 23);
  CHECK(buddy.Take(23) == Buddy::kNone);
  buddy.Give(99'999, 0);
  CHECK(buddy.Take(0) == 99'999);
  for (const uint32_t unit : taken) buddy.Give(unit, 0);
  CHECK(buddy.LargestFreeOrder() == 23);
}

}  // namespace ringbolt
