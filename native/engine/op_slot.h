// The two kinds of slots in memory that JavaScript shares: what it asks for and what came of it.
// The layout is known to lib/native.ts as well, which compares the constants below when it loads
// the addon.
//
// JavaScript may write anything into them at any time, so a slot is copied once and only the copy
// is looked at (see Queue::TakeSubmissions).

#ifndef RINGBOLT_ENGINE_OP_SLOT_H_
#define RINGBOLT_ENGINE_OP_SLOT_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/align.h"

namespace ringbolt {

// Values of OpSlot::kind. Anything else completes with -EINVAL.
enum class SlotKind : uint8_t {
  kNop = 0,
  kRead = 1,
  kWrite = 2,
  kDataSync = 3,
  kInstallFile = 4,  // makes a file known to this queue
  kRemoveFile = 5,   // and forgets it; -EBUSY while it has operations in flight
  kCancel = 6,       // asks that the operation whose token is in `file` end soon; advisory
  kChecksum = 7,     // hashes memory of a slab; no file
};

enum class IoClass : uint8_t { kForeground = 0, kBackground = 1 };
inline constexpr uint32_t kIoClasses = 2;

inline constexpr uint16_t kFlagDurable = 1;
inline constexpr uint16_t kFlagNumbered = 2;  // first_block is hashed in
inline constexpr uint16_t kFlagCompare = 4;   // with the values that wait at the operation's place
inline constexpr uint16_t kFlagRecheck = 8;   // kWrite: hash once more when it is written
// Bits 8 and 9: a ChecksumAlgorithm, for kRead, kWrite and kChecksum.
inline constexpr uint32_t kFlagAlgorithmShift = 8;
inline constexpr uint32_t kFlagAlgorithmMask = 3;

// Where a token is more than something to give back: with checksums, these bits name the place at
// which the operation's values wait and are left (see engine/checksum_areas.h). No two operations
// in flight should have the same, and no harm is done if they have.
inline constexpr uint32_t kTokenPlaceMask = 0xffff;

struct alignas(kCacheLineBytes) OpSlot {
  uint32_t token;            // returned in the completion; with checksums, names a place too
  uint8_t kind;              // SlotKind
  uint8_t io_class;          // IoClass
  uint16_t flags;            // kFlag...
  uint32_t file;             // file slot; of kCancel: a token
  uint32_t file_generation;  // of that slot
  double offset;             // in the file, bytes
  double submitted_ns;       // when JavaScript was asked, CLOCK_MONOTONIC
  uint32_t length;           // bytes
  uint32_t slab;             // unit of a leased slab
  uint32_t slab_offset;      // bytes into it
  uint32_t block_bytes;      // checksums: of each block but the last, which may be shorter
  double first_block;        // number of the first block, if they are hashed in
  uint64_t seed;
};
static_assert(sizeof(OpSlot) == 64 && std::is_trivially_copyable_v<OpSlot>);
static_assert(offsetof(OpSlot, file) == 8 && offsetof(OpSlot, offset) == 16 &&
              offsetof(OpSlot, submitted_ns) == 24 && offsetof(OpSlot, length) == 32 &&
              offsetof(OpSlot, slab_offset) == 40 && offsetof(OpSlot, block_bytes) == 44 &&
              offsetof(OpSlot, first_block) == 48 && offsetof(OpSlot, seed) == 56);

struct CompletionSlot {
  uint32_t token;
  int32_t result;       // bytes transferred, or -errno
  uint32_t bytes_done;  // also where result is an error
  uint32_t reserved;
};
static_assert(sizeof(CompletionSlot) == 16);

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_OP_SLOT_H_
