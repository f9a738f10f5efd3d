#include "io/aio_context.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

namespace ringbolt {

iocb MakeControl(const BackendOp& op, uint64_t data, int event_fd) {
  iocb control{};
  control.aio_data = data;
  control.aio_lio_opcode = op.kind == OpKind::kRead ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
  control.aio_rw_flags = op.durable ? RWF_DSYNC : 0;
  control.aio_fildes = static_cast<uint32_t>(op.fd);
  control.aio_buf = reinterpret_cast<uint64_t>(op.data);
  control.aio_nbytes = op.length;
  control.aio_offset = static_cast<int64_t>(op.offset);
  control.aio_flags = IOCB_FLAG_RESFD;
  control.aio_resfd = static_cast<uint32_t>(event_fd);
  if (op.idle_priority && op.kind == OpKind::kRead) {
    // Kernels before 4.18 do not know the flag, and look at neither.
    control.aio_flags |= IOCB_FLAG_IOPRIO;
    control.aio_reqprio = kIdlePriority;
  }
  return control;
}

// As fs/aio.c has it. Part of the kernel's interface in all but name: libaio and fio read it too.
struct AioContext::Ring {
  static constexpr uint32_t kMagic = 0xa10a10a1;

  uint32_t id;
  uint32_t slots;
  uint32_t head;  // written by whoever empties it
  uint32_t tail;  // written by the kernel
  uint32_t magic;
  uint32_t compatible_features;
  uint32_t incompatible_features;
  uint32_t header_bytes;
  io_event events[];
};

AioContext::~AioContext() {
  if (id_ != 0) syscall(SYS_io_destroy, id_);
}

Status AioContext::Init(uint32_t events) {
  if (syscall(SYS_io_setup, events, &id_) != 0) return Status::FromErrno("io_setup");
  auto* ring = std::bit_cast<Ring*>(id_);
  const bool known = ring->magic == Ring::kMagic && ring->incompatible_features == 0 &&
                     ring->header_bytes == sizeof(Ring);
  if (known) ring_ = ring;
  return Status::Ok();
}

int64_t AioContext::Submit(std::span<iocb*> operations) {
  const int64_t taken = syscall(SYS_io_submit, id_, operations.size(), operations.data());
  return taken >= 0 ? taken : -errno;
}

size_t AioContext::Reap(std::span<io_event> events) {
  if (ring_ == nullptr) {
    timespec none{};
    const int64_t count =
        syscall(SYS_io_getevents, id_, size_t{0}, events.size(), events.data(), &none);
    return count > 0 ? static_cast<size_t>(count) : 0;
  }
  uint32_t head = ring_->head;  // ours alone
  // Acquire and release, as with the kernel's own reader: an event is read after the tail that
  // counts it, and its place is given away after it was read. Nobody decides to sleep on these: the
  // eventfd, which is signalled after the tail was stored, wakes whoever looked too early.
  const uint32_t tail = __atomic_load_n(&ring_->tail, __ATOMIC_ACQUIRE);
  size_t count = 0;
  while (count < events.size() && head != tail) {
    events[count++] = ring_->events[head];
    head = (head + 1) % ring_->slots;
  }
  __atomic_store_n(&ring_->head, head, __ATOMIC_RELEASE);
  return count;
}

void AioContext::Cancel(iocb* operation) {
  io_event unused;
  (void)syscall(SYS_io_cancel, id_, operation, &unused);
}

}  // namespace ringbolt
