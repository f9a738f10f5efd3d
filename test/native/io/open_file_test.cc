// Shows what OpenFile() accepts, what it refuses and with which errno, and that it leaves nothing
// behind when it fails.

#include "io/open_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "support/temp_file.h"

namespace ringbolt {

namespace {

class TempFolder {
 public:
  TempFolder() : path_("./.ringbolt-test-XXXXXX") { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~TempFolder() {
    for (const char* name : {"a", "fifo"}) unlink((path_ + "/" + name).c_str());
    CHECK(rmdir(path_.c_str()) == 0);  // and nothing else was left in it
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

int ErrorOf(const OpenRequest& request) {
  OpenedFile opened;
  return OpenFile(request, &opened).error();
}

}  // namespace

TEST_CASE("OpenFile: a regular file, with its size and the alignment direct I/O needs") {
  const test::TempFile file(12288);
  OpenedFile opened;
  REQUIRE(OpenFile({.path = file.path()}, &opened).ok());
  CHECK(opened.size == 12288);
  CHECK_FALSE(opened.block_device);
  CHECK_FALSE(opened.created);
  CHECK(opened.alignment >= 512);
  CHECK(opened.direct == opened.remarks.empty());
  const int flags = fcntl(opened.fd.get(), F_GETFL);
  CHECK(((flags & O_DIRECT) != 0) == opened.direct);
  CHECK((flags & O_NONBLOCK) == 0);
  CHECK((fcntl(opened.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("OpenFile: buffered files need no alignment") {
  const test::TempFile file(4096);
  OpenedFile opened;
  REQUIRE(OpenFile({.path = file.path(), .direct = Direct::kNo}, &opened).ok());
  CHECK(opened.alignment == 1);
  CHECK_FALSE(opened.direct);
}

TEST_CASE("OpenFile: knows files that live in memory") {
  OpenedFile on_disk;
  const test::TempFile file(4096);
  REQUIRE(OpenFile({.path = file.path()}, &on_disk).ok());
  struct statfs info{};
  REQUIRE(statfs(".", &info) == 0);
  CHECK(on_disk.in_memory == (info.f_type == TMPFS_MAGIC));
  if (statfs("/dev/shm", &info) != 0 || info.f_type != TMPFS_MAGIC) {
    std::printf("SKIPPED: /dev/shm is no tmpfs\n");
    return;
  }
  char name[] = "/dev/shm/ringbolt-test-XXXXXX";
  close(mkstemp(name));
  OpenedFile in_memory;
  CHECK(OpenFile({.path = name}, &in_memory).ok());
  CHECK(in_memory.in_memory);
  unlink(name);
}

TEST_CASE("OpenFile: creates, allocates, and refuses to create what is there") {
  const TempFolder folder;
  OpenRequest request{.path = folder / "a", .access = Access::kReadWrite};
  CHECK(ErrorOf(request) == ENOENT);
  request.create = Create::kIfMissing;
  request.size = 1 << 20;
  OpenedFile opened;
  REQUIRE(OpenFile(request, &opened).ok());
  CHECK(opened.created);
  CHECK(opened.size == 1 << 20);
  struct stat info{};
  REQUIRE(fstat(opened.fd.get(), &info) == 0);
  CHECK(info.st_size == 1 << 20);

  OpenedFile again;
  REQUIRE(OpenFile(request, &again).ok());
  CHECK_FALSE(again.created);
  request.create = Create::kExclusive;
  CHECK(ErrorOf(request) == EEXIST);
}

TEST_CASE("OpenFile: never makes a file shorter unless asked to, and then only under its lock") {
  const test::TempFile file(8192);
  OpenRequest request{.path = file.path(), .access = Access::kReadWrite, .size = 4096};
  OpenedFile opened;
  REQUIRE(OpenFile(request, &opened).ok());
  CHECK(opened.size == 8192);

  OpenedFile owner;
  REQUIRE(OpenFile({.path = file.path(), .access = Access::kReadWrite, .lock = Lock::kExclusive},
                   &owner)
              .ok());
  request.truncate = true;
  request.lock = Lock::kExclusive;
  CHECK(ErrorOf(request) == EBUSY);
  CHECK(ErrorOf({.path = file.path(), .lock = Lock::kShared}) == EBUSY);
  struct stat info{};
  REQUIRE(stat(file.path().c_str(), &info) == 0);
  CHECK(info.st_size == 8192);
  owner.fd.reset();
  OpenedFile truncated;
  REQUIRE(OpenFile(request, &truncated).ok());
  CHECK(truncated.size == 4096);
}

TEST_CASE("OpenFile: shared locks go together, an exclusive one goes alone") {
  const test::TempFile file(4096);
  OpenedFile first;
  OpenedFile second;
  REQUIRE(OpenFile({.path = file.path(), .lock = Lock::kShared}, &first).ok());
  REQUIRE(OpenFile({.path = file.path(), .lock = Lock::kShared}, &second).ok());
  const OpenRequest exclusive{
      .path = file.path(), .access = Access::kReadWrite, .lock = Lock::kExclusive};
  CHECK(ErrorOf(exclusive) == EBUSY);
  first.fd.reset();
  second.fd.reset();
  CHECK(ErrorOf(exclusive) == 0);
}

TEST_CASE(
    "OpenFile: what is neither a regular file nor a block device is refused, without waiting") {
  const TempFolder folder;
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(ErrorOf({.path = folder / "fifo"}) == ENOTSUP);  // a plain open() would block here
  CHECK(ErrorOf({.path = folder.path()}) == EISDIR);
  CHECK(ErrorOf({.path = folder.path(), .access = Access::kWrite}) == EISDIR);
  CHECK(ErrorOf({.path = "/dev/null"}) == ENOTSUP);
  CHECK(ErrorOf({.path = folder / "no/such"}) == ENOENT);
}

TEST_CASE("OpenFile: when it fails, nothing that was there is cut, and nothing is removed") {
  const TempFolder folder;
  OpenRequest request{.path = folder / "a",
                      .access = Access::kReadWrite,
                      .create = Create::kIfMissing,
                      .size = uint64_t{1} << 60};
  const int error = ErrorOf(request);
  CHECK((error == ENOSPC || error == EFBIG));
  // Somebody else may have opened it in the meantime: to remove it would take their data with it.
  CHECK(access((folder / "a").c_str(), F_OK) == 0);
}

TEST_CASE("OpenFile: allocates the holes of a file that is long enough") {
  const TempFolder folder;
  OpenedFile sparse;
  REQUIRE(
      OpenFile({.path = folder / "a", .access = Access::kReadWrite, .create = Create::kIfMissing},
               &sparse)
          .ok());
  REQUIRE(ftruncate(sparse.fd.get(), 1 << 20) == 0);
  OpenedFile opened;
  REQUIRE(OpenFile({.path = folder / "a", .access = Access::kReadWrite, .size = 1 << 20}, &opened)
              .ok());
  struct stat info{};
  REQUIRE(fstat(opened.fd.get(), &info) == 0);
  CHECK((info.st_blocks * 512 >= 1 << 20 || !opened.remarks.empty()));
}

}  // namespace ringbolt
