#include "io/run_operation.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace ringbolt {

namespace {

int32_t ToResult(ssize_t result) { return result >= 0 ? static_cast<int32_t>(result) : -errno; }

// Where the flag is unknown (sandboxes that implement the system call only in part), a flush of the
// whole file promises no less.
int32_t WriteDurably(const BackendOp& op) {
  const auto offset = static_cast<off_t>(op.offset);
  const iovec part{op.data, op.length};
  const int32_t result = ToResult(pwritev2(op.fd, &part, 1, offset, RWF_DSYNC));
  if (result != -EOPNOTSUPP && result != -ENOSYS) return result;
  const int32_t written = ToResult(pwrite(op.fd, op.data, op.length, offset));
  if (written <= 0) return written;
  return fdatasync(op.fd) == 0 ? written : -errno;
}

}  // namespace

// pread and pwrite where no flag is needed: they have no vector to import.
int32_t RunOperation(const BackendOp& op) {
  const auto offset = static_cast<off_t>(op.offset);
  switch (op.kind) {
    case OpKind::kNop:
      return 0;
    case OpKind::kRead:
      return ToResult(pread(op.fd, op.data, op.length, offset));
    case OpKind::kWrite:
      if (op.durable) return WriteDurably(op);
      return ToResult(pwrite(op.fd, op.data, op.length, offset));
    case OpKind::kDataSync:
      return ToResult(fdatasync(op.fd));
  }
  return -EINVAL;
}

}  // namespace ringbolt
