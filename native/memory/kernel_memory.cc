#include "memory/kernel_memory.h"

#include <stdio.h>

#include <algorithm>
#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace ringbolt {

namespace {

// A text file of the kernel's, line by line.
class Lines {
 public:
  explicit Lines(const std::string& path) : file_(std::fopen(path.c_str(), "re")) {}
  ~Lines() { std::free(line_); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  // The next line, or nullptr behind the last. The analyzer does not see that file_ closes itself.
  // NOLINTBEGIN(clang-analyzer-unix.Stream)
  const char* Next() {
    if (file_ == nullptr || getline(&line_, &capacity_, file_.get()) < 0) return nullptr;
    return line_;
  }
  // NOLINTEND(clang-analyzer-unix.Stream)

 private:
  struct Close {
    void operator()(FILE* file) const { (void)std::fclose(file); }
  };

  std::unique_ptr<FILE, Close> file_;
  char* line_ = nullptr;
  size_t capacity_ = 0;
};

std::optional<size_t> ReadNumber(const std::string& path) {
  Lines lines(path);
  const char* line = lines.Next();
  size_t number = 0;
  if (line == nullptr || std::sscanf(line, "%zu", &number) != 1) return std::nullopt;
  return number;
}

size_t NumberOrNone(const std::string& path) { return ReadNumber(path).value_or(0); }

std::string NodeFolder(const std::string& root, int node) {
  return root + "/sys/devices/system/node/node" + std::to_string(node);
}

size_t Minus(size_t from, size_t what) { return from > what ? from - what : 0; }

// The range that a mapping begins in; ranges.size() for none.
size_t RangeOf(const std::vector<MemoryRange>& ranges, uintptr_t address) {
  const auto found = std::ranges::find_if(ranges, [address](const MemoryRange& range) {
    return address >= range.begin && address < range.end;
  });
  return static_cast<size_t>(found - ranges.begin());
}

// Adds up the " N<node>=<pages>" of one line of numa_maps.
void AddPlaces(const char* line, std::vector<NodeBytes>* places) {
  const char* size = std::strstr(line, " kernelpagesize_kB=");
  size_t page_kib = 4;
  if (size != nullptr) (void)std::sscanf(size, " kernelpagesize_kB=%zu", &page_kib);
  for (const char* at = std::strstr(line, " N"); at != nullptr; at = std::strstr(at + 1, " N")) {
    int node = 0;
    size_t pages = 0;
    if (std::sscanf(at, " N%d=%zu", &node, &pages) != 2) continue;
    const auto known = std::ranges::find_if(
        *places, [node](const NodeBytes& place) { return place.node == node; });
    const size_t bytes = pages * page_kib * 1024;
    if (known != places->end()) {
      known->bytes += bytes;
    } else {
      places->push_back({node, bytes});
    }
  }
}

}  // namespace

std::optional<size_t> NodeRoomBytes(const std::string& root, int node) {
  Lines lines(NodeFolder(root, node) + "/meminfo");
  std::optional<size_t> free_kib;
  std::optional<size_t> files_kib;
  size_t memory_files_kib = 0;
  while (const char* line = lines.Next()) {
    char name[64];
    size_t kib = 0;
    if (std::sscanf(line, "Node %*d %63[^:]: %zu kB", name, &kib) != 2) continue;
    if (std::strcmp(name, "MemFree") == 0) free_kib = kib;
    if (std::strcmp(name, "FilePages") == 0) files_kib = kib;
    if (std::strcmp(name, "Shmem") == 0) memory_files_kib = kib;
  }
  if (!free_kib.has_value() || !files_kib.has_value()) return std::nullopt;
  return (*free_kib + Minus(*files_kib, memory_files_kib)) * 1024;
}

size_t FreeHugetlbPages(const std::string& root, int node) {
  const std::string pool = "/hugepages/hugepages-2048kB/";
  const std::string all = root + "/sys/kernel/mm" + pool;
  const size_t unreserved =
      Minus(NumberOrNone(all + "free_hugepages"), NumberOrNone(all + "resv_hugepages"));
  if (node >= 0) {
    return std::min(unreserved, NumberOrNone(NodeFolder(root, node) + pool + "free_hugepages"));
  }
  return unreserved + Minus(NumberOrNone(all + "nr_overcommit_hugepages"),
                            NumberOrNone(all + "surplus_hugepages"));
}

std::string TransparentHugePages(const std::string& root) {
  Lines lines(root + "/sys/kernel/mm/transparent_hugepage/enabled");
  const char* line = lines.Next();
  const char* chosen = line == nullptr ? nullptr : std::strchr(line, '[');
  if (chosen == nullptr) return {};
  const char* end = std::strchr(chosen, ']');
  return end == nullptr ? std::string() : std::string(chosen + 1, end);
}

std::vector<size_t> TransparentHugeBytes(const std::vector<MemoryRange>& ranges) {
  std::vector<size_t> bytes(ranges.size(), 0);
  Lines lines("/proc/self/smaps");
  size_t range = ranges.size();
  while (const char* line = lines.Next()) {
    uintptr_t from = 0;
    uintptr_t to = 0;
    size_t kib = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
      range = RangeOf(ranges, from);
    } else if (range < ranges.size() && std::sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) {
      bytes[range] += kib * 1024;
    }
  }
  return bytes;
}

std::vector<std::vector<NodeBytes>> BytesByNode(const std::vector<MemoryRange>& ranges) {
  std::vector<std::vector<NodeBytes>> places(ranges.size());
  Lines lines("/proc/self/numa_maps");
  while (const char* line = lines.Next()) {
    uintptr_t from = 0;
    if (std::sscanf(line, "%" SCNxPTR " ", &from) != 1) continue;
    const size_t range = RangeOf(ranges, from);
    if (range < ranges.size()) AddPlaces(line, &places[range]);
  }
  return places;
}

}  // namespace ringbolt
