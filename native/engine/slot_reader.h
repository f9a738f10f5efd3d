// From an op slot, into which JavaScript may have written anything, to an operation that harms
// nobody: the slot is copied once, and only the copy is looked at.
//
// Queue threads.

#ifndef RINGBOLT_ENGINE_SLOT_READER_H_
#define RINGBOLT_ENGINE_SLOT_READER_H_

#include "engine/file_table.h"
#include "engine/op_slot.h"
#include "engine/queue_files.h"
#include "io/backend.h"
#include "memory/buffer_pool.h"

namespace ringbolt {

// The one copy of a slot. JavaScript may write to the original at any time; word-wise atomic loads
// make the compiler read each word exactly once, so that what was checked is what is used.
OpSlot CopySlot(const OpSlot& shared);

// Makes the operation of a slot that reads, writes or syncs. 0, or the errno with which the slot is
// refused. Leaves the operation's id to the caller.
int ReadTransfer(const OpSlot& slot, const QueueFiles& files, const BufferPool& pool, BackendOp* op,
                 FileTraits* traits);

// The same for memory alone, which no backend sees: `op` is a no-op with data and a length.
int ReadMemory(const OpSlot& slot, const BufferPool& pool, BackendOp* op);

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_SLOT_READER_H_
