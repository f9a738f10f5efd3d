// Shows that a descriptor is closed exactly when no queue has it, and that stale handles reach
// nothing.

#include "engine/file_table.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include <atomic>
#include <thread>

namespace ringbolt {

namespace {

ScopedFd NewFd() { return ScopedFd(eventfd(0, EFD_CLOEXEC)); }
bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("FileTable: a slot is installed, removed, closed and reused under a new generation") {
  FileTable table(1);
  ScopedFd fd = NewFd();
  const int raw = fd.get();
  FileHandle first;
  REQUIRE(table.Add(std::move(fd), {.alignment = 512}, &first).ok());
  FileTable::Installed installed;
  REQUIRE(table.Install(first, &installed));
  CHECK(installed.fd == raw);
  CHECK(installed.traits.alignment == 512);
  CHECK(table.Close(first).error() == EBUSY);
  CHECK(IsOpen(raw));
  table.Uninstall(first.slot);
  CHECK(table.Close(first).ok());
  CHECK_FALSE(IsOpen(raw));
  CHECK(table.Close(first).error() == EBADF);
  CHECK_FALSE(table.Install(first, &installed));

  FileHandle second;
  REQUIRE(table.Add(NewFd(), {}, &second).ok());
  CHECK(second.slot == first.slot);
  CHECK(second.generation != first.generation);
  CHECK_FALSE(table.Install(first, &installed));
  CHECK(table.Install(second, &installed));
}

TEST_CASE("FileTable: no more files than it has slots, and foreign handles are refused") {
  FileTable table(2);
  FileHandle handle;
  REQUIRE(table.Add(NewFd(), {}, &handle).ok());
  REQUIRE(table.Add(NewFd(), {}, &handle).ok());
  CHECK(table.Add(NewFd(), {}, &handle).error() == ENFILE);
  CHECK(table.Close({7, 1}).error() == EBADF);
  CHECK(table.Close({0, 99}).error() == EBADF);
  FileTable::Installed installed;
  CHECK_FALSE(table.Install({7, 1}, &installed));
}

TEST_CASE("FileTable: closing and installing at once never leaves a closed file installed") {
  for (int round = 0; round < 2000; ++round) {
    FileTable table(1);
    FileHandle handle;
    REQUIRE(table.Add(NewFd(), {}, &handle).ok());
    std::atomic<int> at_start{0};
    bool installed = false;
    std::thread queue([&] {
      at_start.fetch_add(1);
      while (at_start.load() < 2) std::this_thread::yield();
      FileTable::Installed file;
      installed = table.Install(handle, &file);
    });
    at_start.fetch_add(1);
    while (at_start.load() < 2) std::this_thread::yield();
    const Status closed = table.Close(handle);
    queue.join();
    REQUIRE(closed.ok() != installed);
  }
}

}  // namespace ringbolt
