// Shows that an arena is aligned, writable to its last byte, kept out of forks, and guarded around
// every part; that each part says which pages and which node it got, and why not others; and that
// no huge page, node or permission that is missing keeps an arena from being made, unless it was
// required.

#include "memory/arena.h"

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "support/resident.h"
#include "support/system_folder.h"

namespace ringbolt {

namespace {

// True if a child process that writes to `address` is killed for it.
bool WriteFaults(uint8_t* address) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    *static_cast<volatile uint8_t*>(address) = 1;
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

constexpr size_t kMiB = size_t{1} << 20;

bool Mentions(const std::vector<std::string>& remarks, const char* what) {
  for (const std::string& remark : remarks) {
    if (remark.find(what) != std::string::npos) return true;
  }
  return false;
}

// A machine whose hugetlb pool has so many pages free, by its own account.
void SayFreeHugePages(const test::SystemFolder& system, int pages) {
  const std::string folder = "kernel/mm/hugepages/hugepages-2048kB/";
  system.Write(folder + "free_hugepages", std::to_string(pages) + "\n");
  system.Write(folder + "resv_hugepages", "0\n");
}

// The calling thread may not call mbind() any more, as in most containers.
bool ForbidMbind() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mbind, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = 4, .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Pages in the kernel's hugetlb pool, as long as it lives: those that are free, or more if this
// process may ask for them.
class HugetlbPages {
 public:
  explicit HugetlbPages(size_t pages) {
    if (FreeHugetlbPages("", -1) >= pages) return;
    std::ifstream(kSetting) >> before_;
    std::ofstream(kSetting) << before_ + pages << std::flush;
    changed_ = true;
  }
  ~HugetlbPages() {
    if (changed_) std::ofstream(kSetting) << before_ << std::flush;
  }
  HugetlbPages(const HugetlbPages&) = delete;
  HugetlbPages& operator=(const HugetlbPages&) = delete;

 private:
  static constexpr const char* kSetting = "/proc/sys/vm/nr_hugepages";
  size_t before_ = 0;
  bool changed_ = false;
};

}  // namespace

TEST_CASE("Arena: aligned to huge pages and writable from end to end") {
  std::shared_ptr<Arena> arena;
  REQUIRE(Arena::Create({.parts = {{.bytes = size_t{4} << 20}}}, &arena).ok());
  CHECK(reinterpret_cast<uintptr_t>(arena->base()) % (size_t{2} << 20) == 0);
  CHECK(arena->bytes() == size_t{4} << 20);
  CHECK(arena->huge_bytes() <= arena->bytes());
  std::memset(arena->base(), 0xa5, arena->bytes());
  CHECK(arena->base()[arena->bytes() - 1] == 0xa5);
}

TEST_CASE("Arena: memory beside it faults, and a forked child does not have it at all") {
  std::shared_ptr<Arena> arena;
  REQUIRE(
      Arena::Create({.parts = {{.bytes = size_t{2} << 20}}, .huge_pages = HugePages::kOff}, &arena)
          .ok());
  CHECK(WriteFaults(arena->base() - 1));
  CHECK(WriteFaults(arena->base() + arena->bytes()));
  CHECK(WriteFaults(arena->base()));
}

TEST_CASE("Arena: more memory than there is address space is an error, not a crash") {
  std::shared_ptr<Arena> arena;
  const Status status =
      Arena::Create({.parts = {{.bytes = size_t{1} << 47}}, .huge_pages = HugePages::kOff}, &arena);
  CHECK_FALSE(status.ok());
  CHECK(status.error() == ENOMEM);
  CHECK(arena == nullptr);
}

TEST_CASE("Arena: parts and the room for large leases have guards around them and are not forked") {
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{.parts = {{.bytes = 4 * kMiB}, {.bytes = 3 * kMiB}, {.bytes = 4096}},
                           .large_bytes = 9 * kMiB};
  REQUIRE(Arena::Create(layout, &arena).ok());
  REQUIRE(arena->parts().size() == 3);
  CHECK(arena->parts()[0].offset == 0);
  CHECK(arena->large_bytes() == 10 * kMiB);
  CHECK(arena->bytes() == arena->large_offset() + arena->large_bytes());
  std::vector<std::pair<size_t, size_t>> pieces{{arena->large_offset(), arena->large_bytes()}};
  for (const PartInfo& part : arena->parts()) {
    pieces.emplace_back(part.offset, part.bytes);
    CHECK(part.populated);
    CHECK(test::ResidentBytes(arena->base() + part.offset, part.bytes) == part.bytes);
  }
  for (const auto& [offset, bytes] : pieces) {
    CAPTURE(offset);
    uint8_t* const begin = arena->base() + offset;
    CHECK(reinterpret_cast<uintptr_t>(begin) % (2 * kMiB) == 0);
    std::memset(begin, 0xa5, bytes);
    CHECK(begin[bytes - 1] == 0xa5);
    CHECK(WriteFaults(begin - 1));
    CHECK(WriteFaults(begin + bytes));
    CHECK(WriteFaults(begin));
  }
}

TEST_CASE("Arena: the room for large leases has pages only where it was touched") {
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{
      .parts = {{.bytes = 2 * kMiB}}, .large_bytes = 64 * kMiB, .huge_pages = HugePages::kOff};
  REQUIRE(Arena::Create(layout, &arena).ok());
  uint8_t* const room = arena->base() + arena->large_offset();
  CHECK(test::ResidentBytes(room, arena->large_bytes()) == 0);
  room[5 * kMiB] = 1;
  CHECK(test::ResidentBytes(room, arena->large_bytes()) == 4096);
}

TEST_CASE("Arena: without address space for large leases there is none, and a remark") {
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{.parts = {{.bytes = 2 * kMiB}}, .large_bytes = size_t{1} << 47};
  REQUIRE(Arena::Create(layout, &arena).ok());
  CHECK(arena->large_bytes() == 0);
  CHECK(arena->bytes() == 2 * kMiB);
  CHECK(arena->remarks().find("no address space for large leases") != std::string::npos);
}

TEST_CASE("Arena: discarding gives pages back, and leaves zeroes that can be written") {
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{.parts = {{.bytes = 4 * kMiB}, {.bytes = 4 * kMiB}},
                           .large_bytes = 4 * kMiB,
                           .huge_pages = HugePages::kOff};
  REQUIRE(Arena::Create(layout, &arena).ok());
  for (const size_t offset : {size_t{0}, arena->parts()[1].offset, arena->large_offset()}) {
    uint8_t* const at = arena->base() + offset;
    std::memset(at, 0xa5, 4 * kMiB);
    CHECK(arena->Discard(offset + 4096, kMiB));
    CHECK(test::ResidentBytes(at, 4 * kMiB) == 3 * kMiB);
    CHECK(at[4095] == 0xa5);
    CHECK(at[4096] == 0);
    CHECK(at[4096 + kMiB] == 0xa5);
    at[4096] = 7;
    CHECK(at[4096] == 7);
  }
}

TEST_CASE("Arena: hugetlb pages that are not free are done without, or said to be the reason") {
  const test::SystemFolder system;
  SayFreeHugePages(system, 1);
  system.Write("kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  std::shared_ptr<Arena> arena;
  // Not a multiple of 2 MiB: no kernel can put all of it into huge pages.
  ArenaLayout layout{.parts = {{.bytes = 4 * kMiB + 4096}}, .system_root = system.root()};
  REQUIRE(Arena::Create(layout, &arena).ok());
  CHECK(arena->parts()[0].pages != PageKind::kHugetlb);
  CHECK(arena->parts()[0].huge_bytes <= 4 * kMiB);
  CHECK(Mentions(arena->parts()[0].remarks, "not a multiple of 2 MiB"));

  arena = nullptr;
  layout.huge_pages = HugePages::kRequire;
  const Status status = Arena::Create(layout, &arena);
  CHECK(status.error() == ENOMEM);
  CHECK(status.detail().find("not a multiple of 2 MiB") != std::string::npos);
  CHECK(arena == nullptr);
}

TEST_CASE("Arena: required huge pages that a thread may not have are an error with both causes") {
  const test::SystemFolder system;
  SayFreeHugePages(system, 1);
  system.Write("kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  const ArenaLayout layout{.parts = {{.bytes = 4 * kMiB}},
                           .huge_pages = HugePages::kRequire,
                           .system_root = system.root()};
  std::shared_ptr<Arena> arena;
  // For this process and its children: transparent huge pages as on a machine without them.
  if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) {
    std::printf("SKIPPED: prctl(PR_SET_THP_DISABLE): %s\n", std::strerror(errno));
    return;
  }
  const Status status = Arena::Create(layout, &arena);
  CHECK(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
  CHECK(status.error() == ENOMEM);
  CHECK(status.detail().find("0 of 4194304 bytes are in huge pages") != std::string::npos);
  CHECK(status.detail().find("hugetlb: 1 of 2 pages are free") != std::string::npos);
  CHECK(status.detail().find("switched off on this machine") != std::string::npos);
  CHECK(arena == nullptr);
}

TEST_CASE("Arena: a kernel that has fewer hugetlb pages than it says does no harm") {
  const test::SystemFolder system;
  const size_t pages = FreeHugetlbPages("", -1) + 4;
  SayFreeHugePages(system, 1'000'000);
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{.parts = {{.bytes = 2 * kMiB}, {.bytes = pages * 2 * kMiB}},
                           .system_root = system.root()};
  REQUIRE(Arena::Create(layout, &arena).ok());
  for (const PartInfo& part : arena->parts()) {
    CHECK(part.pages != PageKind::kHugetlb);
    CHECK(part.populated);
    std::memset(arena->base() + part.offset, 1, part.bytes);
  }
}

TEST_CASE("Arena: hugetlb pages, where there are some, are all there and never discarded") {
  const HugetlbPages pages(4);
  if (FreeHugetlbPages("", -1) < 4) {
    std::printf("SKIPPED: no hugetlb pages (vm.nr_hugepages), and no permission to ask for some\n");
    return;
  }
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{.parts = {{.bytes = 4 * kMiB}, {.bytes = 4 * kMiB}},
                           .huge_pages = HugePages::kRequire};
  REQUIRE(Arena::Create(layout, &arena).ok());
  CHECK(arena->huge_bytes() == 8 * kMiB);
  for (const PartInfo& part : arena->parts()) {
    uint8_t* const at = arena->base() + part.offset;
    CHECK(part.pages == PageKind::kHugetlb);
    CHECK(test::ResidentBytes(at, part.bytes) == part.bytes);
    std::memset(at, 0xa5, part.bytes);
    CHECK_FALSE(arena->Discard(part.offset, part.bytes));
    CHECK(at[part.bytes - 1] == 0xa5);
    CHECK(WriteFaults(at));
  }
}

TEST_CASE("Arena: a part for a node lies there, or says why not") {
  std::shared_ptr<Arena> arena;
  const ArenaLayout layout{.parts = {{.node = 0, .bytes = 2 * kMiB}, {.bytes = 2 * kMiB}}};
  REQUIRE(Arena::Create(layout, &arena).ok());
  const PartInfo& part = arena->parts()[0];
  size_t there = 0;
  size_t anywhere = 0;
  for (const NodeBytes& place : part.places) {
    anywhere += place.bytes;
    if (place.node == 0) there += place.bytes;
  }
  if (anywhere == 0) {
    std::printf("SKIPPED: no /proc/self/numa_maps\n");
    return;
  }
  CHECK(anywhere == part.bytes);
  if (part.binding == NodeBinding::kStrict) {
    CHECK(there == part.bytes);
  } else {
    CHECK_FALSE(part.remarks.empty());
  }
  CHECK(arena->parts()[1].binding == NodeBinding::kNone);
}

TEST_CASE("Arena: a node that is short of memory is preferred, never insisted on") {
  const test::SystemFolder system;
  // Files in memory are in the page cache and cannot be dropped.
  system.Write("devices/system/node/node0/meminfo",
               "\nNode 0 MemTotal:       16384 kB\nNode 0 MemFree:        2000 kB\n"
               "Node 0 FilePages:      9000 kB\nNode 0 Shmem:          8000 kB\n");
  CHECK(NodeRoomBytes(system.root(), 0) == size_t{3000} * 1024);
  CHECK_FALSE(NodeRoomBytes(system.root(), 1).has_value());
  std::shared_ptr<Arena> arena;
  ArenaLayout layout{.parts = {{.node = 0, .bytes = 2 * kMiB}}, .system_root = system.root()};
  REQUIRE(Arena::Create(layout, &arena).ok());
  CHECK(arena->parts()[0].binding != NodeBinding::kStrict);
  CHECK(Mentions(arena->parts()[0].remarks, "node 0 has only 3072000 bytes free"));

  layout.parts[0].bytes = kMiB;
  REQUIRE(Arena::Create(layout, &arena).ok());
  CHECK_FALSE(Mentions(arena->parts()[0].remarks, "node 0 has only"));
}

TEST_CASE("Arena: a node that does not exist is a remark") {
  std::shared_ptr<Arena> arena;
  for (const int node : {1000, 5000}) {
    const ArenaLayout layout{.parts = {{.node = node, .bytes = 2 * kMiB}}};
    REQUIRE(Arena::Create(layout, &arena).ok());
    CHECK(arena->parts()[0].binding == NodeBinding::kNone);
    CHECK(Mentions(arena->parts()[0].remarks, "mbind: "));
    CHECK(test::ResidentBytes(arena->base(), 2 * kMiB) == 2 * kMiB);
  }
}

TEST_CASE("Arena: where binding memory is forbidden, it is a remark") {
  bool forbidden = false;
  Status status;
  std::shared_ptr<Arena> arena;
  std::thread([&] {
    forbidden = ForbidMbind();
    const ArenaLayout layout{.parts = {{.node = 0, .bytes = 2 * kMiB}}};
    if (forbidden) status = Arena::Create(layout, &arena);
  }).join();
  if (!forbidden) {
    std::printf("SKIPPED: no seccomp filters here\n");
    return;
  }
  REQUIRE(status.ok());
  CHECK(arena->parts()[0].binding == NodeBinding::kNone);
  CHECK(Mentions(arena->parts()[0].remarks, "mbind: Operation not permitted (containers forbid"));
  arena->base()[0] = 1;
}

}  // namespace ringbolt
