// The files an engine has open, by slot. A slot carries a generation, so that an operation meant
// for a file that was closed never reaches the one that came after it.
//
// Life of a slot: Add() on the control thread → each queue installs it, on its own thread → each
// queue removes it, once none of its operations are in flight there → Close() on the control
// thread. Close() refuses while any queue still has it: a descriptor is never closed under the
// kernel's feet.
//
// Threads: slots are taken and given back by the control thread alone. Queue threads read an
// entry only after an op slot named it, which JavaScript writes only after Add() was reported to
// it; they announce themselves in `installations`.

#ifndef RINGBOLT_ENGINE_FILE_TABLE_H_
#define RINGBOLT_ENGINE_FILE_TABLE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/scoped_fd.h"
#include "base/status.h"

namespace ringbolt {

// What a queue must know of a file to use it.
struct FileTraits {
  uint32_t alignment = 1;  // of offsets and lengths, a power of two; 1: any
  bool direct = false;     // opened with O_DIRECT
  bool in_memory = false;  // reading and writing is copying: its file system has no device
};

struct FileHandle {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

class FileTable {
 public:
  explicit FileTable(uint32_t capacity);
  FileTable(const FileTable&) = delete;
  FileTable& operator=(const FileTable&) = delete;

  [[nodiscard]] uint32_t capacity() const { return capacity_; }

  // ENFILE if all slots are taken.
  [[nodiscard]] Status CheckRoom() const;

  // Takes ownership of `fd`. ENFILE if all slots are taken.
  Status Add(ScopedFd fd, const FileTraits& traits, FileHandle* handle);

  // Closes the descriptor. EBADF for a stale handle, EBUSY while a queue still has it installed.
  Status Close(const FileHandle& handle);

  // The descriptor, which only Close() closes, on this same thread. EBADF for a stale handle.
  Status Descriptor(const FileHandle& handle, int* fd) const;

  // --- Queue threads ---

  struct Installed {
    int fd = -1;
    FileTraits traits = {};
  };

  // False for a slot or generation that is not open. On success the descriptor stays open until
  // Uninstall().
  bool Install(const FileHandle& handle, Installed* installed);
  void Uninstall(uint32_t slot);

 private:
  // `state` decides who may have the descriptor: the generation in the upper half, the number of
  // queues that have it installed in the lower, and kClosed while nobody may install it. One word,
  // so that closing and installing cannot both win.
  static constexpr uint64_t kClosed = UINT32_MAX;

  struct Entry {
    std::atomic<uint64_t> state{kClosed};
    ScopedFd fd;
    FileTraits traits;
  };

  const uint32_t capacity_;
  std::unique_ptr<Entry[]> entries_;
  std::vector<uint32_t> free_;  // control thread only
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_FILE_TABLE_H_
