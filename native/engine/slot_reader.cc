#include "engine/slot_reader.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/align.h"

namespace ringbolt {

namespace {

constexpr double kMaxOffset = 9007199254740991.0;  // 2^53 - 1, Number.MAX_SAFE_INTEGER

bool IsSafeOffset(double offset) {
  return offset >= 0 && offset <= kMaxOffset && offset == std::trunc(offset);  // false for NaN
}

}  // namespace

OpSlot CopySlot(const OpSlot& shared) {
  std::array<uint64_t, sizeof(OpSlot) / sizeof(uint64_t)> words;
  const auto* from = reinterpret_cast<const uint64_t*>(&shared);
  for (size_t i = 0; i < words.size(); ++i) words[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
  OpSlot copy;
  std::memcpy(&copy, words.data(), sizeof copy);
  return copy;
}

int ReadTransfer(const OpSlot& slot, const QueueFiles& files, const BufferPool& pool, BackendOp* op,
                 FileTraits* traits) {
  const FileTable::Installed* file = files.Find({slot.file, slot.file_generation});
  if (file == nullptr) return EBADF;
  op->fd = file->fd;
  op->file_slot = slot.file;
  if (static_cast<SlotKind>(slot.kind) == SlotKind::kDataSync) {
    op->kind = OpKind::kDataSync;
    return 0;
  }
  *traits = file->traits;
  op->granularity = traits->direct ? traits->alignment : 1;
  op->direct = traits->direct && !traits->in_memory;
  if (slot.length == 0 || slot.length > INT32_MAX || !IsSafeOffset(slot.offset)) return EINVAL;
  op->offset = static_cast<uint64_t>(slot.offset);
  op->length = slot.length;
  if (!IsAligned(op->offset | op->length | slot.slab_offset, traits->alignment)) return EINVAL;
  op->data = pool.Resolve(slot.slab, slot.slab_offset, slot.length);
  if (op->data == nullptr) return EFAULT;
  op->kind = static_cast<SlotKind>(slot.kind) == SlotKind::kRead ? OpKind::kRead : OpKind::kWrite;
  op->idle_priority =
      op->kind == OpKind::kRead && static_cast<IoClass>(slot.io_class) == IoClass::kBackground;
  op->durable = op->kind == OpKind::kWrite && (slot.flags & kFlagDurable) != 0;
  return 0;
}

int ReadMemory(const OpSlot& slot, const BufferPool& pool, BackendOp* op) {
  if (slot.length == 0 || slot.length > INT32_MAX) return EINVAL;
  op->length = slot.length;
  op->data = pool.Resolve(slot.slab, slot.slab_offset, slot.length);
  return op->data == nullptr ? EFAULT : 0;
}

}  // namespace ringbolt
