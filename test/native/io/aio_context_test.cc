// Shows how an operation is put to the kernel: durable writes and reads of idle priority as such,
// and no other so.

#include "io/aio_context.h"

#include <doctest/doctest.h>
#include <sys/uio.h>

namespace ringbolt {

namespace {

BackendOp DirectOp(OpKind kind) {
  BackendOp op;
  op.kind = kind;
  op.direct = true;
  op.fd = 5;
  op.offset = uint64_t{1} << 40;
  op.length = 4096;
  return op;
}

}  // namespace

TEST_CASE("MakeControl: says what, where, how much, and who is told") {
  char memory = 0;
  BackendOp op = DirectOp(OpKind::kWrite);
  op.data = &memory;
  op.durable = true;
  const iocb control = MakeControl(op, 77, 9);
  CHECK(control.aio_lio_opcode == IOCB_CMD_PWRITE);
  CHECK(control.aio_rw_flags == RWF_DSYNC);
  CHECK(control.aio_fildes == 5);
  CHECK(control.aio_offset == int64_t{1} << 40);
  CHECK(control.aio_nbytes == 4096);
  CHECK(control.aio_buf == reinterpret_cast<uint64_t>(&memory));
  CHECK(control.aio_data == 77);
  CHECK(control.aio_flags == IOCB_FLAG_RESFD);
  CHECK(control.aio_resfd == 9);
}

TEST_CASE("MakeControl: reads of idle priority, and nothing else, carry one") {
  constexpr uint32_t kWithPriority = IOCB_FLAG_RESFD | IOCB_FLAG_IOPRIO;
  BackendOp op = DirectOp(OpKind::kRead);
  CHECK(MakeControl(op, 0, 9).aio_lio_opcode == IOCB_CMD_PREAD);
  CHECK(MakeControl(op, 0, 9).aio_flags == IOCB_FLAG_RESFD);
  CHECK(MakeControl(op, 0, 9).aio_reqprio == 0);
  op.idle_priority = true;
  CHECK(MakeControl(op, 0, 9).aio_flags == kWithPriority);
  CHECK(MakeControl(op, 0, 9).aio_reqprio == kIdlePriority);
  op.kind = OpKind::kWrite;
  CHECK(MakeControl(op, 0, 9).aio_flags == IOCB_FLAG_RESFD);
  CHECK(MakeControl(op, 0, 9).aio_reqprio == 0);
}

}  // namespace ringbolt
