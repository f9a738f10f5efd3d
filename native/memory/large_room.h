// Leases larger than any slab: each has address space of its own, a power of two of at least 2 MiB,
// and only as much memory as was touched, which goes back to the system when it ends.
//
// The memory stays mapped after that: a view that outlives its lease reads zeroes, or what the next
// holder writes, and never faults.
//
// Any thread may call everything. Neither acquiring nor releasing is for the I/O path: pages come
// with a fault each, and discarding them takes up to 100 µs for each MiB.

#ifndef RINGBOLT_MEMORY_LARGE_ROOM_H_
#define RINGBOLT_MEMORY_LARGE_ROOM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "memory/arena.h"
#include "memory/buddy.h"
#include "memory/slab.h"

namespace ringbolt {

struct LargeStats {
  size_t room_bytes = 0;  // of address space
  size_t bytes_out = 0;   // leased, rounded up to pages
  size_t high_water_bytes = 0;
  uint64_t out = 0;
  uint64_t acquired = 0;
  uint64_t misses = 0;
  uint64_t kept = 0;  // releases whose memory the kernel would not take back
};

class LargeRoom {
 public:
  explicit LargeRoom(const Arena& arena);  // which lives longer
  LargeRoom(const LargeRoom&) = delete;
  LargeRoom& operator=(const LargeRoom&) = delete;

  // A unit of memory that holds zeroes, or what a view of an earlier lease wrote; kNoSlab if there
  // is no room.
  uint32_t Acquire(size_t bytes);

  // False, and nothing happens, if `unit` does not name a lease.
  bool Release(uint32_t unit);

  // Rounded up to pages; 0 if `unit` does not name a lease.
  [[nodiscard]] size_t BytesOf(uint32_t unit) const;

  // Of all units of the room there is one for each lease that may be in it.
  [[nodiscard]] uint32_t places() const { return places_; }
  // Which of those a unit names, if it does.
  [[nodiscard]] std::optional<uint32_t> PlaceOf(uint32_t unit) const;

  [[nodiscard]] LargeStats Stats();

 private:
  static constexpr uint32_t kPlaceUnits = kHugePageBytes / kSlabUnitBytes;

  const Arena& arena_;
  const uint32_t first_unit_;
  const uint32_t places_;
  std::unique_ptr<std::atomic<size_t>[]> bytes_;  // by place; 0 where no lease begins

  std::mutex mutex_;              // of what follows
  std::unique_ptr<Buddy> buddy_;  // if there is any room
  LargeStats stats_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_LARGE_ROOM_H_
