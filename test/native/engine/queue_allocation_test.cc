// Shows that the native I/O path allocates nothing per operation: operator new is counted while a
// hundred thousand no-ops and reads, with checksums and without, go through.

#include <doctest/doctest.h>
#include <fcntl.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <type_traits>

#include "support/backend_fixture.h"
#include "support/queue_harness.h"
#include "support/temp_file.h"

namespace {

std::atomic<uint64_t> allocations{0};

void* CountedAllocation(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return CountedAllocation(bytes); }
void* operator new[](size_t bytes) { return CountedAllocation(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace ringbolt {

namespace {

// Waits by looking, so that the test's own side allocates nothing either.
void Drain(Queue& queue, uint32_t count) {
  for (uint32_t seen = 0; seen < count;) {
    const uint32_t ready = queue.Ready();
    queue.Consumed(ready);
    seen += ready;
  }
}

constexpr uint32_t kAtOnce = 100;

// Its threads are made when they are needed.
template <typename TestBackend>
constexpr bool kMakesThreads = std::is_same_v<TestBackend, test::Threads> ||
                               std::is_same_v<TestBackend, test::Late<test::Threads>>;

}  // namespace

BACKEND_TEST("Queue: no allocation per operation") {
  std::unique_ptr<Backend> probe;
  if (!TestBackend::Create({.max_in_flight = 1, .max_files = 1, .without = {}}, &probe).ok()) {
    std::printf("SKIPPED: the backend cannot be had\n");
    return;
  }
  const test::TempFile file(1 << 16);
  test::QueueHarness harness(TestBackend::Create);
  const FileHandle handle =
      harness.Install(open(file.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC),
                      {.alignment = 512, .direct = true});
  if (harness.queue().checksum_areas().Prepare() != 0) FAIL("no memory");
  // Memory of its own for each, as they may run at the same time.
  std::array<OpSlot, kAtOnce> reads;
  for (OpSlot& read : reads) {
    read = test::Transfer(SlotKind::kRead, handle, 4096, 4096, harness.Acquire(0));
  }
  auto hashed = reads;
  for (OpSlot& read : hashed) {
    read.flags = 1 << kFlagAlgorithmShift;
    read.block_bytes = 512;
  }
  const std::array<OpSlot, kAtOnce> nops{};
  for (const auto& slots : {nops, reads, hashed}) {
    uint64_t before = 0;
    for (int round = 0; round < 1010; ++round) {
      if (round == 10) before = allocations.load();  // the first rounds may fill caches
      for (const OpSlot& slot : slots) harness.Put(slot);
      if (!harness.Kick()) FAIL("refused");
      Drain(harness.queue(), kAtOnce);
    }
    // Of a hundred thousand operations, only what making threads takes: at most 63 of them, once.
    CHECK(allocations.load() - before <= (kMakesThreads<TestBackend> ? 63 * 4 : 0));
  }
}

}  // namespace ringbolt
