// One mapping of anonymous memory for all slabs of a pool: between guard pages, kept out of forks
// and core dumps, and populated when it is made, so that the I/O path meets no page fault and a
// machine without memory says so with an error instead of a SIGBUS.
//
//   | guard | bytes(), 2 MiB aligned, huge pages if they can be had | guard |
//
// Owned through shared_ptr by everybody who may still touch the memory: the pool, queue threads,
// and each ArrayBuffer that JavaScript may hold. Immutable once made; any thread may read it.

#ifndef RINGBOLT_MEMORY_ARENA_H_
#define RINGBOLT_MEMORY_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace ringbolt {

struct ArenaOptions {
  size_t bytes = 0;        // a multiple of the page size
  bool huge_pages = true;  // ask for transparent huge pages
};

class Arena {
 public:
  // Maps and populates; takes some 20 ms for 64 MiB, so not for the JavaScript thread.
  static Status Create(const ArenaOptions& options, std::shared_ptr<Arena>* arena);

  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] uint8_t* base() const { return base_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }

  // How much of it lay in huge pages right after it was populated.
  [[nodiscard]] size_t huge_bytes() const { return huge_bytes_; }

  // What could not be had, in words; empty if everything was.
  [[nodiscard]] const std::string& remarks() const { return remarks_; }

 private:
  Arena() = default;

  void Remark(const char* what, int error);

  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  uint8_t* base_ = nullptr;
  size_t bytes_ = 0;
  size_t huge_bytes_ = 0;
  std::string remarks_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_ARENA_H_
