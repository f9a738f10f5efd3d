// Shows that an arena is aligned, writable to its last byte, kept out of forks, and guarded on both
// sides.

#include "memory/arena.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

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

}  // namespace

TEST_CASE("Arena: aligned to huge pages and writable from end to end") {
  std::shared_ptr<Arena> arena;
  REQUIRE(Arena::Create({.bytes = size_t{4} << 20}, &arena).ok());
  CHECK(reinterpret_cast<uintptr_t>(arena->base()) % (size_t{2} << 20) == 0);
  CHECK(arena->bytes() == size_t{4} << 20);
  CHECK(arena->huge_bytes() <= arena->bytes());
  std::memset(arena->base(), 0xa5, arena->bytes());
  CHECK(arena->base()[arena->bytes() - 1] == 0xa5);
}

TEST_CASE("Arena: memory beside it faults, and a forked child does not have it at all") {
  std::shared_ptr<Arena> arena;
  REQUIRE(Arena::Create({.bytes = size_t{2} << 20, .huge_pages = false}, &arena).ok());
  CHECK(WriteFaults(arena->base() - 1));
  CHECK(WriteFaults(arena->base() + arena->bytes()));
  CHECK(WriteFaults(arena->base()));
}

TEST_CASE("Arena: more memory than there is address space is an error, not a crash") {
  std::shared_ptr<Arena> arena;
  const Status status = Arena::Create({.bytes = size_t{1} << 47, .huge_pages = false}, &arena);
  CHECK_FALSE(status.ok());
  CHECK(status.error() == ENOMEM);
  CHECK(arena == nullptr);
}

}  // namespace ringbolt
