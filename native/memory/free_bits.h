// A set of numbers below a bound, whose lowest member is found in a few steps: above the bits lie
// bits that say which words below are not zero, and so on up to a single word. Nothing is allocated
// after construction. One thread, or a lock around it.

#ifndef RINGBOLT_MEMORY_FREE_BITS_H_
#define RINGBOLT_MEMORY_FREE_BITS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringbolt {

class FreeBits {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // `size` >= 1.
  explicit FreeBits(uint32_t size) {
    for (uint32_t words = size; levels_.empty() || words > 1;) {
      words = (words / 64) + (words % 64 == 0 ? 0 : 1);
      levels_.emplace_back(words, 0);
    }
  }

  [[nodiscard]] bool Test(uint32_t number) const {
    return ((levels_[0][number / 64] >> (number % 64)) & 1) != 0;
  }

  void Set(uint32_t number) {
    for (std::vector<uint64_t>& level : levels_) {
      level[number / 64] |= uint64_t{1} << (number % 64);
      number /= 64;
    }
  }

  void Clear(uint32_t number) {
    for (std::vector<uint64_t>& level : levels_) {
      level[number / 64] &= ~(uint64_t{1} << (number % 64));
      if (level[number / 64] != 0) return;
      number /= 64;
    }
  }

  // The lowest member that is not below `from`; kNone if there is none.
  [[nodiscard]] uint32_t FindNext(uint32_t from) const {
    for (size_t level = 0; level < levels_.size(); ++level) {
      const uint32_t word = from / 64;
      if (word >= levels_[level].size()) return kNone;
      const uint64_t rest = levels_[level][word] >> (from % 64);
      if (rest == 0) {
        from = word + 1;
        continue;
      }
      uint32_t found = from + static_cast<uint32_t>(std::countr_zero(rest));
      while (level-- > 0) {
        found = (found * 64) + static_cast<uint32_t>(std::countr_zero(levels_[level][found]));
      }
      return found;
    }
    return kNone;
  }

 private:
  std::vector<std::vector<uint64_t>> levels_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_FREE_BITS_H_
