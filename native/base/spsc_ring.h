// A ring between exactly two threads: one that fills slots, one that empties them.
//
//            head                 tail
//             |  published slots   |  free slots
//   ... -----[x][x][x][x][x][x][x][ ][ ][ ]----- ...     positions count up for ever, modulo 2^32;
//             ^ consumer reads     ^ producer writes      slot = position & mask
//
// The slots lie in one block of memory of their own, because JavaScript sees that block as a typed
// array and reads or writes slots with plain stores; only native code ever touches head and tail.
// The block's life is counted apart from the ring's, for a typed array may outlive it.
//
// Memory order: tail and head are sequentially consistent in both directions. Acquire and release
// would do for the slots, but the same variables also decide whether a sleeping peer is woken
// (store the tail, then load the peer's "sleeping" flag; the peer stores the flag, then loads the
// tail). With less than seq_cst both loads may be satisfied before both stores, and the wake-up is
// lost. There is no atomic_thread_fence here, because ThreadSanitizer does not model it.

#ifndef RINGBOLT_BASE_SPSC_RING_H_
#define RINGBOLT_BASE_SPSC_RING_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>

#include "base/align.h"
#include "base/check.h"

namespace ringbolt {

template <typename T>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>, "slots are shared with JavaScript as bytes");

 public:
  // `capacity` is a power of two, at most 2^30. Slots start zeroed.
  explicit SpscRing(uint32_t capacity) : mask_(capacity - 1) {
    RB_CHECK(capacity != 0 && (capacity & mask_) == 0 && capacity <= (1U << 30));
    const size_t bytes = AlignUp(size_t{capacity} * sizeof(T), kPageBytes);
    void* block = std::aligned_alloc(kPageBytes, bytes);
    RB_CHECK(block != nullptr);
    std::memset(block, 0, bytes);
    slots_ = std::shared_ptr<T[]>(static_cast<T*>(block), [](T* slots) { std::free(slots); });
  }

  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  [[nodiscard]] uint32_t capacity() const { return mask_ + 1; }
  [[nodiscard]] const std::shared_ptr<T[]>& block() const { return slots_; }

  // --- Producer only ---

  [[nodiscard]] uint32_t Free() const {
    return capacity() - (tail_.load(std::memory_order_relaxed) - head_.load());
  }

  // The slot `ahead` of the first unpublished one. Requires ahead < Free().
  T& Unpublished(uint32_t ahead) {
    return slots_[(tail_.load(std::memory_order_relaxed) + ahead) & mask_];
  }

  // Requires count <= Free().
  void Publish(uint32_t count) { tail_.store(tail_.load(std::memory_order_relaxed) + count); }

  // --- Consumer only ---

  [[nodiscard]] uint32_t Available() const {
    return tail_.load() - head_.load(std::memory_order_relaxed);
  }

  // The slot `ahead` of the oldest published one. Requires ahead < Available().
  const T& Published(uint32_t ahead) const {
    return slots_[(head_.load(std::memory_order_relaxed) + ahead) & mask_];
  }

  // Requires count <= Available(). The producer may overwrite the slots from here on.
  void Release(uint32_t count) { head_.store(head_.load(std::memory_order_relaxed) + count); }

 private:
  const uint32_t mask_;
  std::shared_ptr<T[]> slots_;
  alignas(kCacheLineBytes) std::atomic<uint32_t> tail_{0};
  alignas(kCacheLineBytes) std::atomic<uint32_t> head_{0};
};

}  // namespace ringbolt

#endif  // RINGBOLT_BASE_SPSC_RING_H_
