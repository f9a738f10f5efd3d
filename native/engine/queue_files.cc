#include "engine/queue_files.h"

#include <cerrno>
#include <utility>

namespace ringbolt {

QueueFiles::QueueFiles(std::shared_ptr<FileTable> table) : table_(std::move(table)) {
  files_.resize(table_->capacity());
}

const FileTable::Installed* QueueFiles::Find(const FileHandle& handle) const {
  if (handle.slot >= files_.size()) return nullptr;
  const QueueFile& file = files_[handle.slot];
  return file.installed && file.generation == handle.generation ? &file.file : nullptr;
}

int QueueFiles::Install(const FileHandle& handle, Backend* backend) {
  if (handle.slot >= files_.size() || files_[handle.slot].installed) return EBADF;
  QueueFile& file = files_[handle.slot];
  if (!table_->Install(handle, &file.file)) return EBADF;
  file.installed = true;
  file.generation = handle.generation;
  file.in_flight = 0;
  backend->RegisterFile(handle.slot, file.file.fd);
  return 0;
}

int QueueFiles::Remove(const FileHandle& handle, Backend* backend) {
  if (Find(handle) == nullptr) return EBADF;
  QueueFile& file = files_[handle.slot];
  if (file.in_flight != 0) return EBUSY;
  backend->RegisterFile(handle.slot, -1);
  file.installed = false;
  table_->Uninstall(handle.slot);
  return 0;
}

void QueueFiles::UninstallAll() {
  for (uint32_t slot = 0; slot < files_.size(); ++slot) {
    if (std::exchange(files_[slot].installed, false)) table_->Uninstall(slot);
  }
}

}  // namespace ringbolt
