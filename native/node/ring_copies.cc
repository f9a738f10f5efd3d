#include "node/ring_copies.h"

#include <cstring>

namespace ringbolt {

namespace {

// `count` slots from `position` on, between two blocks of `capacity` slots. As bytes: V8 aligns
// less than a slot asks for.
template <typename Slot>
void CopySlots(void* to, const void* from, uint32_t position, uint32_t count, uint32_t capacity) {
  for (uint32_t i = 0; i < count; ++i) {
    const size_t at = sizeof(Slot) * ((position + i) & (capacity - 1));
    std::memcpy(static_cast<uint8_t*>(to) + at, static_cast<const uint8_t*>(from) + at,
                sizeof(Slot));
  }
}

}  // namespace

RingCopies::RingCopies(napi_env env, const std::vector<std::shared_ptr<Queue>>& queues)
    : env_(env) {
  for (const auto& queue : queues) copies_.push_back({queue, {}, {}});
}

RingCopies::~RingCopies() {
  for (const Copy& copy : copies_) {
    for (const Side* side : {&copy.submissions, &copy.completions}) {
      if (side->buffer != nullptr) napi_delete_reference(env_, side->buffer);
    }
  }
}

napi_status RingCopies::Block(Side* side, size_t bytes, napi_value* buffer) const {
  if (side->buffer != nullptr) return napi_get_reference_value(env_, side->buffer, buffer);
  void* data = nullptr;
  const napi_status status = napi_create_arraybuffer(env_, bytes, &data, buffer);
  if (status != napi_ok) return status;
  return napi_create_reference(env_, *buffer, 1, &side->buffer);
}

napi_status RingCopies::Blocks(uint32_t queue, napi_value* submissions, napi_value* completions) {
  Copy& copy = copies_[queue];
  const size_t capacity = copy.queue->capacity();
  const napi_status status = Block(&copy.submissions, capacity * sizeof(OpSlot), submissions);
  if (status != napi_ok) return status;
  return Block(&copy.completions, capacity * sizeof(CompletionSlot), completions);
}

// Null if it was never made, or is not as large any more.
void* RingCopies::Memory(const Side& side, size_t bytes) const {
  napi_value buffer = nullptr;
  void* data = nullptr;
  size_t found = 0;
  if (side.buffer == nullptr || napi_get_reference_value(env_, side.buffer, &buffer) != napi_ok ||
      napi_get_arraybuffer_info(env_, buffer, &data, &found) != napi_ok || found != bytes) {
    return nullptr;
  }
  return data;
}

bool RingCopies::CopyIn(uint32_t queue, uint32_t count) {
  if (queue >= copies_.size()) return false;
  Copy& copy = copies_[queue];
  const uint32_t capacity = copy.queue->capacity();
  // As Kick() will: the slots behind those may be in the middle of being read.
  if (count > capacity - copy.queue->outstanding()) return false;
  const void* from = Memory(copy.submissions, capacity * sizeof(OpSlot));
  if (from == nullptr) return false;
  CopySlots<OpSlot>(copy.queue->submission_block().get(), from, copy.submissions.position, count,
                    capacity);
  copy.submissions.position += count;
  return true;
}

void RingCopies::CopyOut(uint32_t queue, uint32_t count) {
  Copy& copy = copies_[queue];
  const uint32_t capacity = copy.queue->capacity();
  void* to = Memory(copy.completions, capacity * sizeof(CompletionSlot));
  const void* from = copy.queue->completion_block().get();
  if (to != nullptr)
    CopySlots<CompletionSlot>(to, from, copy.completions.position, count, capacity);
  copy.completions.position += count;
}

}  // namespace ringbolt
