// First in, first out, with room for a number of things that is fixed when it is made: nothing is
// allocated afterwards. One thread, or a lock around it.

#ifndef RINGBOLT_BASE_BOUNDED_QUEUE_H_
#define RINGBOLT_BASE_BOUNDED_QUEUE_H_

#include <cstddef>
#include <vector>

#include "base/check.h"

namespace ringbolt {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : slots_(capacity) {}

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // The one that is `ahead` of the oldest. Requires ahead < size().
  T& operator[](size_t ahead) { return slots_[(head_ + ahead) % slots_.size()]; }

  // There must be room.
  void Push(const T& value) {
    RB_CHECK(size_ < slots_.size());
    (*this)[size_] = value;
    ++size_;
  }

  // Requires that it is not empty.
  T Pop() {
    T value = (*this)[0];
    head_ = (head_ + 1) % slots_.size();
    --size_;
    return value;
  }

  // Takes out the one `ahead` of the oldest; the others keep their order.
  void Erase(size_t ahead) {
    for (; ahead > 0; --ahead) (*this)[ahead] = (*this)[ahead - 1];
    (void)Pop();
  }

  void Clear() { size_ = 0; }

 private:
  std::vector<T> slots_;
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace ringbolt

#endif  // RINGBOLT_BASE_BOUNDED_QUEUE_H_
