// One reservation of address space for all memory that leases lie in:
//
//   | guard | part of node A | guard | part of node B | guard | room for large leases | guard |
//           ^ base()                                                            base() + bytes() ^
//
// A part lies on one NUMA node, if one was asked for, and is populated when it is made, so that the
// I/O path meets no page fault and a machine without memory says so with an error instead of a
// SIGBUS. The room for large leases is address space only: pages come as they are touched. All of
// it is kept out of forks and core dumps. Parts begin at multiples of 2 MiB, and behind each is at
// least that much that faults: a stray access finds nobody else's memory.
//
// Pages of a part: the hugetlb pool's if it has enough, else transparent huge pages, else plain.
//
// Owned through shared_ptr by everybody who may still touch the memory: the pool, queue threads,
// and each ArrayBuffer that JavaScript may hold. Immutable once made; any thread may read it.

#ifndef RINGBOLT_MEMORY_ARENA_H_
#define RINGBOLT_MEMORY_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "memory/kernel_memory.h"

namespace ringbolt {

enum class HugePages : uint8_t {
  kOff,
  kAuto,     // as far as they can be had
  kRequire,  // an error where a part is not in huge pages from end to end
};

struct ArenaPart {
  int node = -1;     // -1: wherever the kernel likes
  size_t bytes = 0;  // a multiple of the page size; only multiples of 2 MiB can be all huge
};

struct ArenaLayout {
  // Initialized, so that g++ does not miss them where others are given by name.
  // NOLINTBEGIN(readability-redundant-member-init)
  std::vector<ArenaPart> parts = {};  // at least one
  size_t large_bytes = 0;             // room for large leases; rounded up to 2 MiB
  HugePages huge_pages = HugePages::kAuto;
  std::string system_root = {};  // goes in front of /sys; for tests
  // NOLINTEND(readability-redundant-member-init)
};

enum class PageKind : uint8_t { kPlain, kTransparent, kHugetlb };
enum class NodeBinding : uint8_t {
  kNone,       // not asked for, or the kernel refused
  kPreferred,  // filled from that node first, and from others when it had no more
  kStrict,     // filled from that node alone
};

// What came of one part.
struct PartInfo {
  size_t offset = 0;  // from base()
  size_t bytes = 0;
  int node = -1;  // as asked
  NodeBinding binding = NodeBinding::kNone;
  PageKind pages = PageKind::kPlain;  // kTransparent: at least one was had
  size_t huge_bytes = 0;
  bool populated = false;         // else pages come with their first use
  std::vector<NodeBytes> places;  // where its pages lie; empty if the kernel does not tell
  std::vector<std::string> remarks;
};

class Arena {
 public:
  // Maps and populates; takes some 20 ms for 64 MiB, so not for the JavaScript thread.
  static Status Create(const ArenaLayout& layout, std::shared_ptr<Arena>* arena);

  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Where the first part begins: what offsets are counted from.
  [[nodiscard]] uint8_t* base() const { return base_; }
  // From there to the end of the last part or of the room for large leases, guards between them
  // included.
  [[nodiscard]] size_t bytes() const { return bytes_; }

  [[nodiscard]] const std::vector<PartInfo>& parts() const { return parts_; }

  // The room for large leases; 0 bytes if there is none, or if it could not be had.
  [[nodiscard]] size_t large_offset() const { return large_offset_; }
  [[nodiscard]] size_t large_bytes() const { return large_bytes_; }

  // How much lay in huge pages right after it was populated, of all parts.
  [[nodiscard]] size_t huge_bytes() const;

  // What could not be had, in words, of all parts and of the room for large leases; empty if
  // everything was.
  [[nodiscard]] std::string remarks() const;

  // Gives the pages of [offset, offset + bytes) back to the system. The memory stays readable and
  // writable: new pages, full of zeroes, come as they are touched. The range is page-aligned and
  // inside one part, or inside the room for large leases. False, and nothing happened, if the
  // kernel refused (memory is locked), and for hugetlb pages: somebody else could take those before
  // they are touched again, and then touching them is a SIGBUS.
  //
  // Takes some 100 µs per MiB of plain pages, less of huge ones. Any thread.
  [[nodiscard]] bool Discard(size_t offset, size_t bytes) const;

 private:
  Arena() = default;

  static Status Make(const ArenaLayout& layout, std::string* why_no_hugetlb,
                     std::shared_ptr<Arena>* arena);

  Status Reserve(const ArenaLayout& layout);
  bool PopulateHugetlb(PartInfo* part, std::string* why_not);
  Status PopulateOrdinary(const ArenaLayout& layout, PartInfo* part);
  void LookAtPlaces(PartInfo* part);
  Status LookAtPages(const ArenaLayout& layout, const std::string& why_no_hugetlb, PartInfo* part);
  [[nodiscard]] MemoryRange RangeOf(const PartInfo& part) const;
  void OpenLargeRoom(const ArenaLayout& layout);
  void Bind(PartInfo* part, bool strict);
  void KeepToItself(size_t offset, size_t bytes, std::vector<std::string>* remarks);

  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  uint8_t* base_ = nullptr;
  size_t bytes_ = 0;
  std::vector<PartInfo> parts_;
  size_t large_offset_ = 0;
  size_t large_bytes_ = 0;
  std::vector<std::string> remarks_;  // those of no part
};

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_ARENA_H_
