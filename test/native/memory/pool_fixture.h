// Pools for tests, and slabs that say whose they are.

#ifndef RINGBOLT_TEST_MEMORY_POOL_FIXTURE_H_
#define RINGBOLT_TEST_MEMORY_POOL_FIXTURE_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "memory/buffer_pool.h"
#include "memory/magazine.h"

namespace ringbolt::test {

inline constexpr size_t kMiB = size_t{1} << 20;

// nullptr if the arena cannot be made.
inline std::shared_ptr<BufferPool> MakePool(const std::vector<size_t>& parts,
                                            const std::vector<uint32_t>& classes,
                                            size_t large_bytes = 0,
                                            HugePages huge_pages = HugePages::kOff) {
  ArenaLayout layout{.large_bytes = large_bytes, .huge_pages = huge_pages};
  for (const size_t bytes : parts) layout.parts.push_back({.bytes = bytes});
  std::shared_ptr<Arena> arena;
  if (!Arena::Create(layout, &arena).ok()) return nullptr;
  return std::make_shared<BufferPool>(std::move(arena), classes);
}

// All that a part and the others have, as slabs of one class.
inline std::vector<uint32_t> AcquireAll(BufferPool& pool, uint32_t slab_class, uint32_t part = 0) {
  std::vector<uint32_t> units(pool.arena()->bytes() / pool.class_bytes()[slab_class]);
  units.resize(pool.AcquireMany(slab_class, part, units));
  return units;
}

// Writes a stamp at the beginning of each page of a slab, and at its end.
inline void Stamp(uint8_t* slab, size_t bytes, uint64_t stamp) {
  for (size_t at = 0; at < bytes; at += 4096) std::memcpy(slab + at, &stamp, sizeof stamp);
  std::memcpy(slab + bytes - sizeof stamp, &stamp, sizeof stamp);
}

inline bool HasStamp(const uint8_t* slab, size_t bytes, uint64_t stamp) {
  for (size_t at = 0; at < bytes; at += 4096) {
    if (std::memcmp(slab + at, &stamp, sizeof stamp) != 0) return false;
  }
  return std::memcmp(slab + bytes - sizeof stamp, &stamp, sizeof stamp) == 0;
}

// How often a random test does something: RINGBOLT_POOL_STEPS, or `otherwise`.
inline uint64_t Steps(uint64_t otherwise) {
  const char* given = std::getenv("RINGBOLT_POOL_STEPS");
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_MEMORY_POOL_FIXTURE_H_
