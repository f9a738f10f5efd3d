// Latencies in log-linear buckets: 32 equal ones in every octave, so that a bucket is at most 1/32
// (3.1 %) as wide as its values are large, and its middle is within 1.6 % of all of them. Linear
// below 1024 ns; values past 2^36 ns (68.7 s) count in the last bucket.
//
//   bucket  0..31: 32 ns each     32..63: 1024..2047 ns, 32 ns each    64..95: 2048..4095 ns, 64 ns
//   each  ...
//
// One thread adds, any thread may read: counts are relaxed atomics with one writer, so a reader
// sees each count whole, and a set of counts that may be some operations apart.

#ifndef RINGBOLT_ENGINE_HISTOGRAM_H_
#define RINGBOLT_ENGINE_HISTOGRAM_H_

#include <atomic>
#include <bit>
#include <cstdint>

namespace ringbolt {

// A count with one writer: adding needs no locked instruction.
class Counter {
 public:
  void Add(uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void RaiseTo(uint64_t amount) {
    if (amount > value_.load(std::memory_order_relaxed)) {
      value_.store(amount, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Histogram {
 public:
  static constexpr uint32_t kSubBuckets = 32;
  static constexpr uint32_t kSubBits = 5;
  static constexpr uint32_t kFirstOctave = 10;  // values below 2^10 ns share the linear buckets
  static constexpr uint32_t kEndOctave = 36;
  static constexpr uint32_t kBuckets = kSubBuckets * (1 + kEndOctave - kFirstOctave);

  static constexpr uint32_t BucketOf(uint64_t ns) {
    if (ns < (uint64_t{1} << kFirstOctave)) {
      return static_cast<uint32_t>(ns >> (kFirstOctave - kSubBits));
    }
    const auto octave = static_cast<uint32_t>(std::bit_width(ns)) - 1;
    if (octave >= kEndOctave) return kBuckets - 1;
    const auto sub = static_cast<uint32_t>(ns >> (octave - kSubBits)) & (kSubBuckets - 1);
    return (kSubBuckets * (1 + octave - kFirstOctave)) + sub;
  }

  void Add(uint64_t ns) {
    buckets_[BucketOf(ns)].Add(1);
    max_.RaiseTo(ns);
  }

  [[nodiscard]] uint64_t Count(uint32_t bucket) const { return buckets_[bucket].Get(); }
  [[nodiscard]] uint64_t Max() const { return max_.Get(); }

 private:
  Counter buckets_[kBuckets];
  Counter max_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_HISTOGRAM_H_
