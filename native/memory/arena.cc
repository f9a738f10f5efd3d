#include "memory/arena.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include "base/align.h"
#include "base/check.h"

#ifndef MADV_POPULATE_WRITE  // Linux 5.14, glibc 2.35
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

namespace ringbolt {

namespace {

constexpr size_t kGuardBytes = kHugePageBytes;  // so that all parts begin at huge pages
constexpr int kMaxNodes = 1024;                 // the most that any kernel is built for

std::string Because(const char* what, int error) {
  return std::string(what) + ": " + std::strerror(error);
}

std::string Count(size_t value, const char* what) { return std::to_string(value) + " " + what; }

// mbind() without libnuma. Returns an errno.
int SetPolicy(int mode, int node, void* address, size_t bytes) {
  if (node >= kMaxNodes) return EINVAL;
  constexpr size_t kWordBits = 8 * sizeof(unsigned long);    // NOLINT(google-runtime-int): the ABI
  std::array<unsigned long, kMaxNodes / kWordBits> nodes{};  // NOLINT(google-runtime-int)
  nodes[static_cast<size_t>(node) / kWordBits] |= 1UL << (static_cast<size_t>(node) % kWordBits);
  // One more than there are bits: the kernel takes one off.
  return syscall(SYS_mbind, address, bytes, mode, nodes.data(), kMaxNodes + 1, 0) == 0 ? 0 : errno;
}

// Empty if the kernel says that they are to be had.
std::string WhyNoHugetlb(const ArenaLayout& layout, const PartInfo& part) {
  if (!IsAligned(part.bytes, kHugePageBytes)) return "not a multiple of 2 MiB";
  const size_t pages = part.bytes / kHugePageBytes;
  const size_t free_pages = FreeHugetlbPages(layout.system_root, part.node);
  if (free_pages >= pages) return {};
  return "hugetlb: " + std::to_string(free_pages) + " of " +
         Count(pages, "pages are free (vm.nr_hugepages)");
}

}  // namespace

Status Arena::Create(const ArenaLayout& layout, std::shared_ptr<Arena>* arena) {
  RB_CHECK(!layout.parts.empty());
  std::shared_ptr<Arena> made;
  std::string why_no_hugetlb;
  Status status = Make(layout, &why_no_hugetlb, &made);
  // The pool of hugetlb pages had enough, and then not. All begins again without it, rather than
  // mending a reservation in which another thread's mapping may lie by now.
  if (!why_no_hugetlb.empty()) status = Make(layout, &why_no_hugetlb, &made);
  if (status.ok()) *arena = std::move(made);
  return status;
}

// `why_no_hugetlb`: why hugetlb pages are not to be tried, if it is not empty; or why they failed,
// if it is set here.
Status Arena::Make(const ArenaLayout& layout, std::string* why_no_hugetlb,
                   std::shared_ptr<Arena>* arena) {
  std::shared_ptr<Arena> made(new Arena);
  Status status = made->Reserve(layout);
  if (!status.ok()) return status;
  for (PartInfo& part : made->parts_) {
    std::string why_not = *why_no_hugetlb;
    if (layout.huge_pages != HugePages::kOff && why_not.empty()) {
      why_not = WhyNoHugetlb(layout, part);
      if (why_not.empty() && !made->PopulateHugetlb(&part, why_no_hugetlb)) return Status::Ok();
    }
    if (part.pages != PageKind::kHugetlb) status = made->PopulateOrdinary(layout, &part);
    if (!status.ok()) return status;
    // What is trimmed comes back page by page, in the middle of I/O. Were the node without memory
    // by then, a strict binding would call the OOM killer instead of taking a page from elsewhere.
    if (part.binding == NodeBinding::kStrict) {
      (void)SetPolicy(MPOL_PREFERRED, part.node, made->base_ + part.offset, part.bytes);
    }
    made->LookAtPlaces(&part);
    status = made->LookAtPages(layout, why_not, &part);
    if (!status.ok()) return status;
  }
  made->OpenLargeRoom(layout);
  *arena = std::move(made);
  return Status::Ok();
}

Arena::~Arena() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

// Address space for everything, with nothing in it yet.
Status Arena::Reserve(const ArenaLayout& layout) {
  size_t end = 0;
  for (const ArenaPart& asked : layout.parts) {
    RB_CHECK(asked.bytes != 0 && IsAligned(asked.bytes, kPageBytes));
    PartInfo& part = parts_.emplace_back();
    part.offset = end;
    part.bytes = asked.bytes;
    part.node = asked.node;
    bytes_ = end + asked.bytes;
    end = AlignUp(bytes_, kHugePageBytes) + kGuardBytes;
  }
  const auto map = [this](size_t bytes) {
    // Guards on either side, and room to align what is between them.
    mapping_bytes_ = AlignUp(bytes, kHugePageBytes) + (3 * kGuardBytes);
    void* mapping = mmap(nullptr, mapping_bytes_, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mapping_ = mapping == MAP_FAILED ? nullptr : mapping;
    return mapping_ != nullptr;
  };
  const size_t large_bytes = AlignUp(layout.large_bytes, kHugePageBytes);
  if (large_bytes != 0 && map(end + large_bytes)) {
    large_offset_ = end;
    large_bytes_ = large_bytes;
    bytes_ = end + large_bytes;
  } else if (large_bytes != 0) {
    remarks_.push_back(Because("no address space for large leases: mmap", errno));
  }
  if (mapping_ == nullptr && !map(bytes_)) {
    return Status::FromErrno("mmap", "the buffer pool's memory");
  }
  const auto start = reinterpret_cast<uintptr_t>(mapping_);
  base_ = static_cast<uint8_t*>(mapping_) + (AlignUp(start + kGuardBytes, kHugePageBytes) - start);
  return Status::Ok();
}

// False, with a reason, where the pages cannot be had after all; the arena is of no use then. They
// are taken only if the kernel hands all of them over now: one that is missing on first use is no
// error but a SIGBUS.
bool Arena::PopulateHugetlb(PartInfo* part, std::string* why_not) {
  uint8_t* const at = base_ + part->offset;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB | MAP_HUGE_2MB;
  if (mmap(at, part->bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
    *why_not = Because("hugetlb: mmap", errno);
    // Kernels before 6.12 have unmapped what was there, and another thread's mapping may have taken
    // its place. So this much address space is left behind.
    const auto before = static_cast<size_t>(at - static_cast<uint8_t*>(mapping_));
    munmap(std::exchange(mapping_, nullptr), before);
    munmap(at + part->bytes, mapping_bytes_ - before - part->bytes);
    return false;
  }
  if (part->node >= 0) Bind(part, true);
  if (madvise(at, part->bytes, MADV_POPULATE_WRITE) != 0) {
    *why_not = Because("hugetlb: MADV_POPULATE_WRITE", errno);
    return false;
  }
  KeepToItself(part->offset, part->bytes, &part->remarks);
  part->pages = PageKind::kHugetlb;
  part->huge_bytes = part->bytes;
  part->populated = true;
  return true;
}

Status Arena::PopulateOrdinary(const ArenaLayout& layout, PartInfo* part) {
  uint8_t* const at = base_ + part->offset;
  if (mprotect(at, part->bytes, PROT_READ | PROT_WRITE) != 0) {
    return Status::FromErrno("mprotect", "the buffer pool's memory");
  }
  if (part->node >= 0) {
    // Twice as much, because others take memory at the same time.
    const std::optional<size_t> room = NodeRoomBytes(layout.system_root, part->node);
    const bool strict = room.has_value() && *room / 2 >= part->bytes;
    if (!strict) {
      const std::string node = "node " + std::to_string(part->node);
      part->remarks.push_back(room.has_value() ? node + " has only " + Count(*room, "bytes free")
                                               : node + " does not say what it has free");
    }
    Bind(part, strict);
  }
  KeepToItself(part->offset, part->bytes, &part->remarks);
  // Kernels without transparent huge pages refuse both; Look() says what came of it.
  (void)madvise(at, part->bytes,
                layout.huge_pages == HugePages::kOff ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  part->populated = madvise(at, part->bytes, MADV_POPULATE_WRITE) == 0;
  if (part->populated) return Status::Ok();
  if (errno != EINVAL) return Status::FromErrno("madvise", "populating the buffer pool");
  part->remarks.push_back(Because("MADV_POPULATE_WRITE", EINVAL));  // before Linux 5.14
  return Status::Ok();
}

void Arena::LookAtPlaces(PartInfo* part) {
  part->places = std::move(BytesByNode({RangeOf(*part)}).front());
  if (part->node < 0 || part->places.empty()) return;
  size_t there = 0;
  size_t anywhere = 0;
  for (const NodeBytes& place : part->places) {
    anywhere += place.bytes;
    if (place.node == part->node) there = place.bytes;
  }
  if (there == anywhere) return;
  part->remarks.push_back(std::to_string(there) + " of " + Count(anywhere, "bytes lie on node ") +
                          std::to_string(part->node));
}

Status Arena::LookAtPages(const ArenaLayout& layout, const std::string& why_no_hugetlb,
                          PartInfo* part) {
  if (layout.huge_pages == HugePages::kOff || part->pages == PageKind::kHugetlb) {
    return Status::Ok();
  }
  part->huge_bytes = TransparentHugeBytes({RangeOf(*part)}).front();
  if (part->huge_bytes > 0) part->pages = PageKind::kTransparent;
  if (part->huge_bytes >= part->bytes) return Status::Ok();
  const std::string setting = TransparentHugePages(layout.system_root);
  std::string why = std::to_string(part->huge_bytes) + " of " +
                    Count(part->bytes, "bytes are in huge pages: ") + why_no_hugetlb;
  if (IsAligned(part->bytes, kHugePageBytes)) {
    why += "; transparent huge pages: ";
    why += setting.empty()      ? "this kernel has none"
           : setting == "never" ? "switched off on this machine"
                                : "not enough memory in one piece";
  }
  if (layout.huge_pages == HugePages::kRequire) return Status::Error(ENOMEM, "madvise", why);
  part->remarks.push_back(std::move(why));
  return Status::Ok();
}

MemoryRange Arena::RangeOf(const PartInfo& part) const {
  const auto begin = reinterpret_cast<uintptr_t>(base_ + part.offset);
  return {begin, begin + part.bytes};
}

void Arena::OpenLargeRoom(const ArenaLayout& layout) {
  if (large_bytes_ == 0) return;
  uint8_t* const at = base_ + large_offset_;
  // Charged only where the kernel promises no more memory than it has (vm.overcommit_memory=2).
  if (mprotect(at, large_bytes_, PROT_READ | PROT_WRITE) != 0) {
    remarks_.push_back(Because("no room for large leases: mprotect", errno));
    large_bytes_ = 0;
    return;
  }
  KeepToItself(large_offset_, large_bytes_, &remarks_);
  if (layout.huge_pages != HugePages::kOff) (void)madvise(at, large_bytes_, MADV_HUGEPAGE);
}

// A strict binding that cannot be had is not tried as another: what forbids one forbids all.
void Arena::Bind(PartInfo* part, bool strict) {
  const int error =
      SetPolicy(strict ? MPOL_BIND : MPOL_PREFERRED, part->node, base_ + part->offset, part->bytes);
  if (error == 0) {
    part->binding = strict ? NodeBinding::kStrict : NodeBinding::kPreferred;
    return;
  }
  std::string remark = Because("mbind", error);
  if (error == EPERM) remark += " (containers forbid it without CAP_SYS_NICE)";
  part->remarks.push_back(std::move(remark));
}

// A child that forks while a device writes into these pages would otherwise take copies of them;
// and a core dump needs nobody's data.
void Arena::KeepToItself(size_t offset, size_t bytes, std::vector<std::string>* remarks) {
  if (madvise(base_ + offset, bytes, MADV_DONTFORK) != 0) {
    remarks->push_back(Because("MADV_DONTFORK", errno));
  }
  if (madvise(base_ + offset, bytes, MADV_DONTDUMP) != 0) {
    remarks->push_back(Because("MADV_DONTDUMP", errno));
  }
}

size_t Arena::huge_bytes() const {
  size_t total = 0;
  for (const PartInfo& part : parts_) total += part.huge_bytes;
  return total;
}

std::string Arena::remarks() const {
  std::string all;
  const auto add = [&all](const std::vector<std::string>& remarks) {
    for (const std::string& remark : remarks) {
      if (!all.empty()) all += "; ";
      all += remark;
    }
  };
  for (const PartInfo& part : parts_) add(part.remarks);
  add(remarks_);
  return all;
}

bool Arena::Discard(size_t offset, size_t bytes) const {
  RB_CHECK(IsAligned(offset, kPageBytes) && IsAligned(bytes, kPageBytes));
  const auto inside = [offset, bytes](size_t begin, size_t size) {
    return offset >= begin && bytes <= size && offset - begin <= size - bytes;
  };
  bool known = inside(large_offset_, large_bytes_);
  for (const PartInfo& part : parts_) {
    if (!inside(part.offset, part.bytes)) continue;
    if (part.pages == PageKind::kHugetlb) return false;
    known = true;
  }
  RB_CHECK(known);
  return madvise(base_ + offset, bytes, MADV_DONTNEED) == 0;
}

}  // namespace ringbolt
