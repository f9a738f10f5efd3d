// The files that one queue knows: those that were installed and not yet removed, and how many of
// its operations are in flight on each. A file that is installed here is open (see FileTable).
//
// Made, used and destroyed by the queue's thread, but for the constructor. No allocation after it.

#ifndef RINGBOLT_ENGINE_QUEUE_FILES_H_
#define RINGBOLT_ENGINE_QUEUE_FILES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/file_table.h"
#include "io/backend.h"

namespace ringbolt {

class QueueFiles {
 public:
  explicit QueueFiles(std::shared_ptr<FileTable> table);
  QueueFiles(const QueueFiles&) = delete;
  QueueFiles& operator=(const QueueFiles&) = delete;

  [[nodiscard]] uint32_t capacity() const { return table_->capacity(); }

  // Null unless exactly that file is installed. Valid until it is removed.
  [[nodiscard]] const FileTable::Installed* Find(const FileHandle& handle) const;

  // 0, or the errno of a refusal: EBADF for a file that is not open or is installed already.
  int Install(const FileHandle& handle, Backend* backend);

  // The same: EBADF for a file that is not installed, EBUSY while operations are in flight on it.
  int Remove(const FileHandle& handle, Backend* backend);

  // Gives all files back, whatever is in flight: for the end of the queue.
  void UninstallAll();

  // An operation on an installed file has begun, or ended.
  void Begin(uint32_t slot) { ++files_[slot].in_flight; }
  void End(uint32_t slot) { --files_[slot].in_flight; }

 private:
  struct QueueFile {
    bool installed = false;
    uint32_t generation = 0;
    uint32_t in_flight = 0;
    FileTable::Installed file;
  };

  const std::shared_ptr<FileTable> table_;
  std::vector<QueueFile> files_;  // by slot
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_QUEUE_FILES_H_
