// The slots of all rings in memory of V8's own, for runtimes without external ArrayBuffers:
//
//   op slots (V8) ─ CopyIn(), before a kick ─▶ submission ring
//   completion ring ─ CopyOut(), before a delivery ─▶ completions (V8)
//
// JavaScript thread only. No queue's thread ever sees V8's memory, which the end of the environment
// frees while an orphaned thread may still run. Somebody may have detached it, so it is looked up
// for each copy.

#ifndef RINGBOLT_NODE_RING_COPIES_H_
#define RINGBOLT_NODE_RING_COPIES_H_

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/queue.h"

namespace ringbolt {

class RingCopies {
 public:
  // Before any slot of these queues was kicked.
  RingCopies(napi_env env, const std::vector<std::shared_ptr<Queue>>& queues);
  ~RingCopies();
  RingCopies(const RingCopies&) = delete;
  RingCopies& operator=(const RingCopies&) = delete;

  // The ArrayBuffers of a queue that there is, made at the first call.
  napi_status Blocks(uint32_t queue, napi_value* submissions, napi_value* completions);

  // The next `count` op slots. False if there is no such queue, no room for them in its ring, or
  // nothing to copy them from.
  bool CopyIn(uint32_t queue, uint32_t count);

  // The oldest `count` completions, which are ready, of a queue that there is.
  void CopyOut(uint32_t queue, uint32_t count);

 private:
  // Its positions are those of the ring: nothing else is published, or consumed.
  struct Side {
    napi_ref buffer = nullptr;
    uint32_t position = 0;
  };
  struct Copy {
    std::shared_ptr<Queue> queue;
    Side submissions;
    Side completions;
  };

  napi_status Block(Side* side, size_t bytes, napi_value* buffer) const;
  [[nodiscard]] void* Memory(const Side& side, size_t bytes) const;

  const napi_env env_;
  std::vector<Copy> copies_;  // by queue
};

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_RING_COPIES_H_
