#include "io/open_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/align.h"
#include "base/check.h"

#ifndef STATX_DIOALIGN  // Linux 6.1
#define STATX_DIOALIGN 0x00002000U
#endif

namespace ringbolt {

namespace {

// What is asked of a caller where the file system would not say: a multiple of every logical block
// size in use.
constexpr uint32_t kFallbackAlignment = 4096;

// The fields of struct statx up to those of STATX_DIOALIGN, which older C libraries leave in the
// spare room.
constexpr size_t kDioMemAlignOffset = 0x98;
constexpr size_t kDioOffsetAlignOffset = 0x9c;

int AccessFlags(Access access) {
  switch (access) {
    case Access::kRead:
      return O_RDONLY;
    case Access::kWrite:
      return O_WRONLY;
    case Access::kReadWrite:
      return O_RDWR;
  }
  return O_RDONLY;
}

// O_NONBLOCK only until the kind of file is known: opening a FIFO would wait for its other end.
Status OpenOrCreate(const OpenRequest& request, OpenedFile* opened) {
  const int flags = AccessFlags(request.access) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  const char* path = request.path.c_str();
  // Between two attempts another process may create or remove the file, but not for ever.
  for (int attempt = 0; attempt < 8; ++attempt) {
    if (request.create != Create::kNo) {
      const int fd = open(path, flags | O_CREAT | O_EXCL, 0666);
      if (fd < 0 && (errno != EEXIST || request.create == Create::kExclusive)) {
        return Status::FromErrno("open");
      }
      opened->created = fd >= 0;
      opened->fd = ScopedFd(fd);
      if (opened->created) return Status::Ok();
    }
    const int fd = open(path, flags);
    if (fd < 0 && (errno != ENOENT || request.create == Create::kNo)) {
      return Status::FromErrno("open");
    }
    opened->fd = ScopedFd(fd);
    if (fd >= 0) return Status::Ok();
  }
  return Status::Error(EAGAIN, "open", "another process keeps creating and removing the file");
}

bool IsInMemory(int fd) {
  struct statfs info{};
  if (fstatfs(fd, &info) != 0) return false;
  return info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC;
}

Status CheckKind(OpenedFile* opened) {
  RB_CHECK(opened->fd.valid());
  struct stat info{};
  if (fstat(opened->fd.get(), &info) != 0) return Status::FromErrno("fstat");
  if (S_ISDIR(info.st_mode)) return Status::Error(EISDIR, "open");
  opened->block_device = S_ISBLK(info.st_mode);
  opened->in_memory = !opened->block_device && IsInMemory(opened->fd.get());
  if (!S_ISREG(info.st_mode) && !opened->block_device) {
    return Status::Error(ENOTSUP, "open", "neither a regular file nor a block device");
  }
  return Status::Ok();
}

// An exclusive lock on a device is also the kernel's own claim, which is what mounting it, or
// making it part of a RAID, respects; locks mean nothing to those. Needs an opening of its own, now
// that it is known to be a device.
Status ClaimDevice(const OpenRequest& request, OpenedFile* opened) {
  if (request.lock != Lock::kExclusive || !opened->block_device) return Status::Ok();
  ScopedFd claimed(
      open(request.path.c_str(), AccessFlags(request.access) | O_CLOEXEC | O_NOCTTY | O_EXCL));
  if (!claimed.valid()) {
    return errno == EBUSY ? Status::Error(EBUSY, "open", "it is mounted, or in use by the kernel")
                          : Status::FromErrno("open");
  }
  struct stat before{};
  struct stat now{};
  if (fstat(opened->fd.get(), &before) != 0 || fstat(claimed.get(), &now) != 0) {
    return Status::FromErrno("fstat");
  }
  if (!S_ISBLK(now.st_mode) || now.st_rdev != before.st_rdev) {
    return Status::Error(EAGAIN, "open", "another file has taken its place meanwhile");
  }
  opened->fd = std::move(claimed);
  return Status::Ok();
}

// An open-file-description lock over the whole file: it belongs to this descriptor, not to the
// process, so that two engines in one process exclude each other too.
Status TakeLock(const OpenRequest& request, int fd) {
  if (request.lock == Lock::kNo) return Status::Ok();
  struct flock lock{};
  lock.l_type = request.lock == Lock::kShared ? F_RDLCK : F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return Status::Ok();
  if (errno == EAGAIN || errno == EACCES) {
    return Status::Error(EBUSY, "fcntl", "somebody else holds a conflicting lock");
  }
  return Status::FromErrno("fcntl");
}

Status ReadSize(OpenedFile* opened) {
  if (opened->block_device) {
    if (ioctl(opened->fd.get(), BLKGETSIZE64, &opened->size) != 0)
      return Status::FromErrno("ioctl");
    return Status::Ok();
  }
  struct stat info{};
  if (fstat(opened->fd.get(), &info) != 0) return Status::FromErrno("fstat");
  opened->size = static_cast<uint64_t>(info.st_size);
  return Status::Ok();
}

// Takes the room that `size` bytes need, whatever the file's own size. Where there is not enough of
// it, file systems may keep what they found, which would leave the disk full with nothing in it:
// cutting at the end that is there gives it back.
Status Reserve(int fd, off_t size) {
  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) == 0 || errno == EOPNOTSUPP) return Status::Ok();
  const Status status = Status::FromErrno("fallocate");
  struct stat info{};
  if (fstat(fd, &info) == 0 && ftruncate(fd, info.st_size) != 0) {
    return status;  // it is the cause that matters
  }
  return status;
}

// After the lock: a file that somebody else uses must not lose its contents first.
Status TruncateAndAllocate(const OpenRequest& request, OpenedFile* opened) {
  const int fd = opened->fd.get();
  // Room first, then the cut: what cannot be had must not cost what was there.
  const auto wanted = static_cast<off_t>(request.size);
  if (wanted > 0 && !opened->block_device) {
    Status reserved = Reserve(fd, wanted);
    if (!reserved.ok()) return reserved;
  }
  if (request.truncate && !opened->block_device && ftruncate(fd, 0) != 0) {
    return Status::FromErrno("ftruncate");
  }
  Status status = ReadSize(opened);
  if (!status.ok() || request.size == 0) return status;
  if (opened->block_device) {
    if (request.size <= opened->size) return status;
    return Status::Error(ENOSPC, "open",
                         "the device has " + std::to_string(opened->size) + " bytes");
  }
  // Also where the file is long enough: it may have holes.
  if (fallocate(fd, 0, 0, wanted) != 0) {
    if (errno != EOPNOTSUPP) return Status::FromErrno("fallocate");
    if (request.size > opened->size && ftruncate(fd, wanted) != 0) {
      return Status::FromErrno("ftruncate");
    }
    if (!opened->remarks.empty()) opened->remarks += "; ";
    opened->remarks += "fallocate: not supported by this file system: the file is sparse";
  }
  if (fsync(fd) != 0) return Status::FromErrno("fsync");
  opened->size = std::max(opened->size, request.size);
  return Status::Ok();
}

// The alignment that direct I/O on this file needs, 0 if the file system says there is none.
uint32_t DirectAlignment(const OpenedFile& opened) {
  struct statx info{};
  if (statx(opened.fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
      (info.stx_mask & STATX_DIOALIGN) != 0) {
    uint32_t memory = 0;
    uint32_t offset = 0;
    std::memcpy(&memory, reinterpret_cast<const char*>(&info) + kDioMemAlignOffset, sizeof memory);
    std::memcpy(&offset, reinterpret_cast<const char*>(&info) + kDioOffsetAlignOffset,
                sizeof offset);
    // Slabs begin on pages, and parts of them at multiples of the offset alignment.
    if (memory > kPageBytes || !std::has_single_bit(offset)) return 0;
    return std::max(memory, offset);
  }
  int logical = 0;
  if (opened.block_device && ioctl(opened.fd.get(), BLKSSZGET, &logical) == 0 && logical > 0) {
    return static_cast<uint32_t>(logical);
  }
  return kFallbackAlignment;
}

// Turns O_NONBLOCK off, under which io_uring would answer EAGAIN, and O_DIRECT on where it is
// wanted and works.
Status SetMode(const OpenRequest& request, OpenedFile* opened) {
  const int fd = opened->fd.get();
  const int flags = fcntl(fd, F_GETFL) & ~O_NONBLOCK;
  if (request.direct == Direct::kNo) {
    return fcntl(fd, F_SETFL, flags) == 0 ? Status::Ok() : Status::FromErrno("fcntl");
  }
  const uint32_t alignment = DirectAlignment(*opened);
  if (alignment != 0 && fcntl(fd, F_SETFL, flags | O_DIRECT) == 0) {
    opened->direct = true;
    opened->alignment = alignment;
    return Status::Ok();
  }
  const int error = alignment == 0 ? EINVAL : errno;
  std::string reason = std::string("O_DIRECT: ") + std::strerror(error) +
                       ": not supported by this file system for this file";
  if (request.direct == Direct::kRequire) return Status::Error(ENOTSUP, "open", std::move(reason));
  if (fcntl(fd, F_SETFL, flags) != 0) return Status::FromErrno("fcntl");
  // The same alignment as with direct I/O, so that code tested here works there.
  opened->alignment = alignment == 0 ? kFallbackAlignment : alignment;
  opened->remarks += (opened->remarks.empty() ? "" : "; ") + reason;
  return Status::Ok();
}

Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const ScopedFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return Status::FromErrno("open", "the directory " + directory);
  // Some file systems have nothing to sync in a directory and say EINVAL.
  if (fsync(fd.get()) != 0 && errno != EINVAL) {
    return Status::FromErrno("fsync", "the directory " + directory);
  }
  return Status::Ok();
}

}  // namespace

Status OpenFile(const OpenRequest& request, OpenedFile* opened) {
  Status status = OpenOrCreate(request, opened);
  if (!status.ok()) return status;
  status = CheckKind(opened);
  if (status.ok()) status = ClaimDevice(request, opened);
  if (status.ok()) status = TakeLock(request, opened->fd.get());
  if (status.ok()) status = SetMode(request, opened);
  if (status.ok()) status = TruncateAndAllocate(request, opened);
  if (status.ok() && opened->created) status = SyncDirectoryOf(request.path);
  return status;
}

}  // namespace ringbolt
