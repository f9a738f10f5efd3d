#include "engine/pending_op.h"

#include <algorithm>
#include <cerrno>

#include "base/align.h"

namespace ringbolt {

namespace {

// EINTR and EAGAIN are retried at once; a device that answers nothing else for this long has
// failed.
constexpr uint32_t kMaxRetries = 128;

}  // namespace

int64_t Judge(PendingOp* pending, int32_t result, bool all_cancelled, QueueCounters* counters) {
  const bool cancelled = all_cancelled || pending->cancelled;
  BackendOp& op = pending->op;
  if (result == -EINTR || result == -EAGAIN) {
    if (cancelled) return -ECANCELED;
    if (++pending->retries > kMaxRetries) return result;
    counters->retries.Add(1);
    return kAgain;
  }
  if (result < 0) return result;
  if (op.kind != OpKind::kRead && op.kind != OpKind::kWrite) return 0;

  auto moved = std::min(static_cast<uint32_t>(result), op.length);
  if (moved == op.length) return pending->done += moved;
  if (op.kind == OpKind::kRead) {
    // Nothing more, or a tail that is not a whole block: the end of the file. Going on from within
    // a block would be EINVAL on a direct file.
    if (moved == 0 || !IsAligned(moved, op.granularity)) return pending->done += moved;
  } else {
    if (moved == 0) return -EIO;  // no progress and no reason
    moved = static_cast<uint32_t>(AlignDown(moved, op.granularity));
  }
  if (cancelled) {
    pending->done += moved;
    return -ECANCELED;
  }
  if (moved == 0 && ++pending->retries > kMaxRetries) return -EIO;
  if (moved != 0) pending->retries = 0;
  counters->continuations.Add(1);
  pending->done += moved;
  op.offset += moved;
  op.length -= moved;
  op.data = static_cast<uint8_t*>(op.data) + moved;
  return kAgain;
}

void CountOutcome(const PendingOp& pending, int64_t outcome, uint64_t now_ns,
                  ClassCounters* counters) {
  if (outcome < 0) counters->errors.Add(1);
  if (pending.hash_only) return counters->checksums.Add(1);  // no I/O: not in the histograms
  switch (pending.op.kind) {
    case OpKind::kNop:
      counters->nops.Add(1);
      break;
    case OpKind::kRead:
      counters->reads.Add(1);
      counters->bytes_read.Add(pending.done);
      break;
    case OpKind::kWrite:
      counters->writes.Add(1);
      counters->bytes_written.Add(pending.done);
      break;
    case OpKind::kDataSync:
      counters->syncs.Add(1);
      break;
  }
  counters->waiting.Add(pending.handed_ns - pending.submitted_ns);
  counters->kernel.Add(now_ns - pending.handed_ns);
  counters->total.Add(now_ns - pending.submitted_ns);
}

}  // namespace ringbolt
