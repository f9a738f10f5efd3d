// What the kernel says of memory: how much of it a node has, how many huge pages are free, and what
// a mapping of this process was really given. Read from sysfs and from /proc/self; whatever is
// missing or odd there counts as "nobody knows".
//
// `root` goes in front of /sys: empty for this machine's, a folder of their own for tests.

#ifndef RINGBOLT_MEMORY_KERNEL_MEMORY_H_
#define RINGBOLT_MEMORY_KERNEL_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringbolt {

inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// What can still be had on a node: free memory, and files in the page cache. Not memory files
// (shmem), which the page cache counts as its own: without swap they stay where they are.
std::optional<size_t> NodeRoomBytes(const std::string& root, int node);

// Pages of the hugetlb pool that nobody has and nobody has reserved, with those that the kernel may
// still make on demand; on one node, or anywhere (-1).
size_t FreeHugetlbPages(const std::string& root, int node);

// The setting of transparent huge pages: "always", "madvise", "never", or "" if there is none.
std::string TransparentHugePages(const std::string& root);

struct NodeBytes {
  int node = 0;
  size_t bytes = 0;
};

struct MemoryRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};

// For each range, how much of it lies in transparent huge pages. A mapping that the kernel split
// shows as several entries; one counts if it begins inside the range.
std::vector<size_t> TransparentHugeBytes(const std::vector<MemoryRange>& ranges);

// For each range, on which nodes its pages lie; empty if the kernel does not tell.
std::vector<std::vector<NodeBytes>> BytesByNode(const std::vector<MemoryRange>& ranges);

}  // namespace ringbolt

#endif  // RINGBOLT_MEMORY_KERNEL_MEMORY_H_
