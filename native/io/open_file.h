// Opening a file or block device for an engine: flags, lock, size, direct I/O and the alignment it
// needs. Blocks; for the control thread.

#ifndef RINGBOLT_IO_OPEN_FILE_H_
#define RINGBOLT_IO_OPEN_FILE_H_

#include <cstdint>
#include <string>

#include "base/scoped_fd.h"
#include "base/status.h"

namespace ringbolt {

enum class Access : uint8_t { kRead, kWrite, kReadWrite };
enum class Create : uint8_t { kNo, kIfMissing, kExclusive };
enum class Direct : uint8_t { kNo, kAuto, kRequire };
enum class Lock : uint8_t { kNo, kShared, kExclusive };

struct OpenRequest {
  std::string path;
  Access access = Access::kRead;
  Create create = Create::kNo;
  bool truncate = false;
  Direct direct = Direct::kAuto;
  Lock lock = Lock::kNo;
  uint64_t size = 0;  // at least this long afterwards, allocated; 0: as it is
};

struct OpenedFile {
  ScopedFd fd;
  uint64_t size = 0;
  uint32_t alignment = 1;  // of offsets and lengths; 1 for a file opened with Direct::kNo
  bool direct = false;
  bool block_device = false;
  bool in_memory = false;  // on tmpfs or ramfs
  bool created = false;
  std::string
      remarks;  // why `direct` is false although it was asked for, and what else was not had
};

// Fails with the errno of the call that failed; with EBUSY if somebody else holds a conflicting
// lock; with EISDIR or ENOTSUP for what is neither a regular file nor a block device. Contents are
// cut only after everything else that was asked for has been had. A file that this call created
// stays when it fails: by then it may be somebody else's. On success a created file's directory
// entry is on stable storage.
Status OpenFile(const OpenRequest& request, OpenedFile* opened);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_OPEN_FILE_H_
