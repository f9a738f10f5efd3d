#include "memory/arena.h"

#include <sys/mman.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "base/align.h"
#include "base/check.h"

#ifndef MADV_POPULATE_WRITE  // Linux 5.14, glibc 2.35
#define MADV_POPULATE_WRITE 23
#endif

namespace ringbolt {

namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

// The bytes of [begin, end) that /proc/self/smaps counts as huge. A mapping that the kernel split
// or merged shows as several entries; an entry counts if it begins inside the range.
size_t HugeBytesIn(uintptr_t begin, uintptr_t end) {
  FILE* smaps = std::fopen("/proc/self/smaps", "re");
  if (smaps == nullptr) return 0;
  char line[512];
  size_t total = 0;
  bool inside = false;
  while (std::fgets(line, sizeof line, smaps) != nullptr) {
    uintptr_t from = 0;
    uintptr_t to = 0;
    size_t kib = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
      inside = from >= begin && from < end;
    } else if (inside && std::sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) {
      total += kib * 1024;
    }
  }
  std::fclose(smaps);
  return total;
}

}  // namespace

Status Arena::Create(const ArenaOptions& options, std::shared_ptr<Arena>* arena) {
  RB_CHECK(options.bytes != 0 && IsAligned(options.bytes, kPageBytes));
  std::shared_ptr<Arena> made(new Arena);
  made->bytes_ = options.bytes;

  // Room to align the inside to a huge page, and a guard page or more on either side: a stray
  // access next to the pool faults instead of finding somebody else's memory.
  made->mapping_bytes_ = options.bytes + (2 * kHugePageBytes);
  void* mapping = mmap(nullptr, made->mapping_bytes_, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return Status::FromErrno("mmap", "the buffer pool's memory");
  made->mapping_ = mapping;
  const auto start = reinterpret_cast<uintptr_t>(mapping);
  made->base_ =
      static_cast<uint8_t*>(mapping) + (AlignUp(start + kPageBytes, kHugePageBytes) - start);

  if (mprotect(made->base_, made->bytes_, PROT_READ | PROT_WRITE) != 0) {
    return Status::FromErrno("mprotect", "the buffer pool's memory");
  }
  // A child that forks while a device writes into these pages would otherwise take copies of them.
  if (madvise(made->base_, made->bytes_, MADV_DONTFORK) != 0) made->Remark("MADV_DONTFORK", errno);
  if (madvise(made->base_, made->bytes_, MADV_DONTDUMP) != 0) made->Remark("MADV_DONTDUMP", errno);
  if (options.huge_pages && madvise(made->base_, made->bytes_, MADV_HUGEPAGE) != 0) {
    made->Remark("MADV_HUGEPAGE", errno);
  }
  if (madvise(made->base_, made->bytes_, MADV_POPULATE_WRITE) != 0) {
    if (errno != EINVAL) return Status::FromErrno("madvise", "populating the buffer pool");
    made->Remark("MADV_POPULATE_WRITE", EINVAL);  // before Linux 5.14: pages come on first use
  }
  if (options.huge_pages) {
    const auto base = reinterpret_cast<uintptr_t>(made->base_);
    made->huge_bytes_ = HugeBytesIn(base, base + made->bytes_);
  }
  *arena = std::move(made);
  return Status::Ok();
}

Arena::~Arena() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

void Arena::Remark(const char* what, int error) {
  if (!remarks_.empty()) remarks_ += "; ";
  remarks_ += what;
  remarks_ += ": ";
  remarks_ += std::strerror(error);
}

}  // namespace ringbolt
