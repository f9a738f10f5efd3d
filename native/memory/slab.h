// How slabs are named: by their unit, the offset of their first byte from Arena::base() divided by
// 4 KiB. Units are what JavaScript holds and writes into op slots.

#ifndef RINGBOLT_MEMORY_SLAB_H_
#define RINGBOLT_MEMORY_SLAB_H_

#include <cstdint>

namespace ringbolt {

inline constexpr uint32_t kSlabUnitBytes = 4096;
inline constexpr uint32_t kNoSlab = UINT32_MAX;
inline constexpr uint32_t kMaxSlabClasses = 16;

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_SLAB_H_
