#include "engine/file_table.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "base/check.h"

namespace ringbolt {

FileTable::FileTable(uint32_t capacity)
    : capacity_(capacity), entries_(std::make_unique<Entry[]>(capacity)) {
  free_.reserve(capacity);
  for (uint32_t slot = capacity; slot > 0; --slot) free_.push_back(slot - 1);
}

Status FileTable::CheckRoom() const {
  if (!free_.empty()) return Status::Ok();
  return Status::Error(ENFILE, "open",
                       "an engine holds at most " + std::to_string(capacity_) + " open files");
}

Status FileTable::Add(ScopedFd fd, const FileTraits& traits, FileHandle* handle) {
  Status room = CheckRoom();
  if (!room.ok()) return room;
  handle->slot = free_.back();
  free_.pop_back();
  Entry& entry = entries_[handle->slot];
  const uint64_t generation = (entry.state.load() >> 32) + 1;
  handle->generation = static_cast<uint32_t>(generation);
  entry.fd = std::move(fd);
  entry.traits = traits;
  entry.state.store(uint64_t{handle->generation} << 32);  // open, installed nowhere
  return Status::Ok();
}

Status FileTable::Close(const FileHandle& handle) {
  if (handle.slot >= capacity_) return Status::Error(EBADF, "close");
  Entry& entry = entries_[handle.slot];
  uint64_t idle = uint64_t{handle.generation} << 32;
  if (!entry.state.compare_exchange_strong(idle, idle | kClosed)) {
    const bool stale = (idle >> 32) != handle.generation || (idle & kClosed) == kClosed;
    return Status::Error(stale ? EBADF : EBUSY, "close");
  }
  const int fd = entry.fd.release();
  free_.push_back(handle.slot);
  // Linux has released the descriptor whatever close() says; what it may say is that earlier
  // buffered writes failed.
  if (close(fd) != 0 && errno != EINTR) return Status::FromErrno("close");
  return Status::Ok();
}

Status FileTable::Descriptor(const FileHandle& handle, int* fd) const {
  if (handle.slot >= capacity_) return Status::Error(EBADF, "fallocate");
  const Entry& entry = entries_[handle.slot];
  const uint64_t state = entry.state.load();
  if ((state >> 32) != handle.generation || (state & kClosed) == kClosed) {
    return Status::Error(EBADF, "fallocate");
  }
  *fd = entry.fd.get();
  return Status::Ok();
}

bool FileTable::Install(const FileHandle& handle, Installed* installed) {
  if (handle.slot >= capacity_) return false;
  Entry& entry = entries_[handle.slot];
  uint64_t state = entry.state.load();
  do {
    if ((state >> 32) != handle.generation || (state & kClosed) == kClosed) return false;
  } while (!entry.state.compare_exchange_weak(state, state + 1));
  *installed = {entry.fd.get(), entry.traits};
  return true;
}

void FileTable::Uninstall(uint32_t slot) {
  RB_CHECK(slot < capacity_);
  const uint64_t before = entries_[slot].state.fetch_sub(1);
  RB_CHECK((before & kClosed) != 0 && (before & kClosed) != kClosed);
}

}  // namespace ringbolt
