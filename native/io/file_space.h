// Giving a file's or device's space back, and zeroing it without writing zeros. Blocks; for the
// control thread.

#ifndef RINGBOLT_IO_FILE_SPACE_H_
#define RINGBOLT_IO_FILE_SPACE_H_

#include <cstdint>

#include "base/status.h"

namespace ringbolt {

enum class SpaceChange : uint8_t {
  kDiscard = 0,  // the range's contents are not needed any more; reading it is undefined
  kZero = 1,     // it reads as zeros; a regular file grows if it ends before
};

// EOPNOTSUPP where the file system or device cannot do that; other errnos as the system call has
// them.
Status ChangeSpace(int fd, SpaceChange change, uint64_t offset, uint64_t length);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_FILE_SPACE_H_
