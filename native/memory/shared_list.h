// Free slabs of one class and one part, for all threads: a stack without a lock.
//
//   head {unit 7, tag 41}     links[7] = 3, links[3] = 12, links[12] = kNone
//
// The links lie in an array by unit, outside the slabs: a slab may be read and written by whoever
// still has a view of it, and its memory may be given back to the system.
//
// Popping n follows n - 1 links and then swings the head to what comes behind, in one step that
// fails if the head is not what it was. Another thread may meanwhile pop those slabs, and push some
// of them again: the same unit is then on top of another stack (the ABA problem). So each change of
// the head adds one to its tag, and a head with the same tag is the same stack from top to bottom,
// for links of slabs in the list are written only before a push. A link that was read from a slab
// already popped is some unit or kNone, never anything else, and the failing step discards it. The
// tag comes round after 2^32 changes: for some ten seconds and more of nothing else, a thread would
// have to sleep between two instructions of its pop, and wake at exactly that change.
//
// Memory order: a push releases and a pop acquires, both on the head, where every change is a
// read-modify-write: who pops a slab has seen all that was done before each push below it, its
// links and its contents. The links themselves are relaxed.

#ifndef RINGBOLT_MEMORY_SHARED_LIST_H_
#define RINGBOLT_MEMORY_SHARED_LIST_H_

#include <atomic>
#include <cstdint>
#include <span>

#include "base/cache_line.h"

namespace ringbolt {

// By unit, for all lists.
using SlabLinks = std::span<std::atomic<uint32_t>>;

class alignas(kCacheLineBytes) SharedList {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Fills `out` from its beginning; returns how many there were.
  uint32_t Pop(SlabLinks links, std::span<uint32_t> out);

  // All at once; the first will be on top. None of them is in a list.
  void Push(SlabLinks links, std::span<const uint32_t> units);

  // The top of what was in it, or kNone; the links lead on.
  uint32_t TakeAll();

  // On the same line as the head: who changes it has that line anyway.
  struct Counters {
    std::atomic<uint64_t> cut{0};       // slabs of this class and part, free or not
    std::atomic<int64_t> out{0};        // of those, leased; without what magazines count themselves
    std::atomic<uint64_t> acquired{0};  // likewise; by the part that was asked for, as the rest is
    std::atomic<uint64_t> refills{0};
    std::atomic<uint64_t> misses{0};
    std::atomic<uint64_t> remote{0};
  };
  Counters counters;

 private:
  std::atomic<uint64_t> head_{kNone};  // the unit in the low half, the tag in the high one
};

static_assert(sizeof(SharedList) == kCacheLineBytes && kHasOwnCacheLines<SharedList>);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_SHARED_LIST_H_
