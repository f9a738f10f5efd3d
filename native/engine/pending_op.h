// An operation that a backend has, or will have again, and the one policy for interruptions and
// short transfers, whatever the backend: what is repeated, what is continued and from where, and
// when it is over.
//
// Belongs to the queue's thread.

#ifndef RINGBOLT_ENGINE_PENDING_OP_H_
#define RINGBOLT_ENGINE_PENDING_OP_H_

#include <cstdint>

#include "engine/counters.h"
#include "engine/op_slot.h"
#include "io/backend.h"

namespace ringbolt {

struct PendingOp {
  BackendOp op;  // what remains
  uint64_t submitted_ns = 0;
  uint64_t handed_ns = 0;
  uint64_t ended_ns =
      0;  // with checksums that come after the I/O: when the backend had done its part
  uint32_t token = 0;
  uint32_t done = 0;     // bytes
  uint32_t retries = 0;  // since the last progress
  uint32_t generation = 0;
  IoClass io_class = IoClass::kForeground;
  bool in_use = false;
  bool cancelled = false;    // its caller waits no more: not to be repeated or continued
  bool by_copying = false;   // on a file in memory, and small
  bool checksums = false;    // of its blocks
  bool hash_only = false;    // and nothing else: op.kind is kNop
  bool transferred = false;  // the backend has done its part
  bool hashing = false;      // among the queue's checksum work: the backend does not have it
};

// What Judge() says of an operation that is to be handed over again.
inline constexpr int64_t kAgain = INT64_MIN;

// What to do with a result: a number of bytes or -errno to settle with, or kAgain to go on with
// what remains. `all_cancelled`: nobody waits for anything any more.
int64_t Judge(PendingOp* pending, int32_t result, bool all_cancelled, QueueCounters* counters);

// Counts an operation that has ended.
void CountOutcome(const PendingOp& pending, int64_t outcome, uint64_t now_ns,
                  ClassCounters* counters);

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_PENDING_OP_H_
