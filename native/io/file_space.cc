#include "io/file_space.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace ringbolt {

namespace {

Status ChangeDevice(int fd, SpaceChange change, uint64_t offset, uint64_t length) {
  uint64_t range[2] = {offset, length};
  const bool discard = change == SpaceChange::kDiscard;
  if (ioctl(fd, discard ? BLKDISCARD : BLKZEROOUT, range) == 0) return Status::Ok();
  return Status::FromErrno(discard ? "BLKDISCARD" : "BLKZEROOUT");
}

Status ChangeFile(int fd, SpaceChange change, uint64_t offset, uint64_t length) {
  // A hole gives the space back and reads as zeros. Zeroing keeps the space: what is written there
  // later cannot fail for lack of it.
  const int mode = change == SpaceChange::kDiscard ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
                                                   : FALLOC_FL_ZERO_RANGE;
  int result = 0;
  do {
    result = fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  return result == 0 ? Status::Ok() : Status::FromErrno("fallocate");
}

}  // namespace

Status ChangeSpace(int fd, SpaceChange change, uint64_t offset, uint64_t length) {
  struct stat about{};
  if (fstat(fd, &about) != 0) return Status::FromErrno("fstat");
  return S_ISBLK(about.st_mode) ? ChangeDevice(fd, change, offset, length)
                                : ChangeFile(fd, change, offset, length);
}

}  // namespace ringbolt
