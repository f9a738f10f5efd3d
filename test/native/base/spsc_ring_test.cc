// Shows that the ring keeps order across wrap-around, never shows an unpublished slot, and that the
// sleep-and-wake protocol built on it loses no wake-up.

#include "base/spsc_ring.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

namespace ringbolt {

TEST_CASE("SpscRing: an empty ring has all slots free and none published") {
  const SpscRing<uint64_t> ring(8);
  CHECK(ring.capacity() == 8);
  CHECK(ring.Free() == 8);
  CHECK(ring.Available() == 0);
}

TEST_CASE("SpscRing: slots become visible when they are published, not when they are written") {
  SpscRing<uint64_t> ring(4);
  ring.Unpublished(0) = 1;
  ring.Unpublished(1) = 2;
  CHECK(ring.Available() == 0);
  ring.Publish(2);
  CHECK(ring.Available() == 2);
  CHECK(ring.Published(0) == 1);
  CHECK(ring.Published(1) == 2);
  CHECK(ring.Free() == 2);
  ring.Release(1);
  CHECK(ring.Published(0) == 2);
  CHECK(ring.Free() == 3);
}

TEST_CASE("SpscRing: two threads exchange a million numbers in order") {
  SpscRing<uint64_t> ring(64);
  constexpr uint64_t kCount = 1'000'000;
  std::thread producer([&] {
    for (uint64_t next = 0; next < kCount;) {
      const uint32_t free = ring.Free();
      uint32_t written = 0;
      while (written < free && next < kCount) ring.Unpublished(written++) = next++;
      ring.Publish(written);
      if (written == 0) std::this_thread::yield();
    }
  });
  uint64_t expected = 0;
  bool in_order = true;
  while (expected < kCount) {
    const uint32_t available = ring.Available();
    for (uint32_t i = 0; i < available; ++i) in_order &= ring.Published(i) == expected++;
    ring.Release(available);
    if (available == 0) std::this_thread::yield();
  }
  producer.join();
  CHECK(in_order);
}

TEST_CASE("SpscRing: a consumer that sleeps when the ring is empty is always woken") {
  SpscRing<uint64_t> ring(64);
  std::atomic<bool> sleeping{false};
  std::atomic<uint32_t> wakes{0};
  constexpr uint64_t kCount = 200'000;
  // The protocol of Queue::Kick and Queue::PrepareToSleep. A lost wake-up leaves both sides
  // waiting, which ctest's time-out reports.
  std::thread producer([&] {
    for (uint64_t next = 0; next < kCount; ++next) {
      while (ring.Free() == 0) std::this_thread::yield();
      ring.Unpublished(0) = next;
      ring.Publish(1);
      if (sleeping.load() && sleeping.exchange(false)) {
        wakes.fetch_add(1);
        wakes.notify_one();
      }
    }
  });
  uint64_t received = 0;
  while (received < kCount) {
    const uint32_t available = ring.Available();
    if (available > 0) {
      received += available;
      ring.Release(available);
      continue;
    }
    const uint32_t before = wakes.load();
    sleeping.store(true);
    if (ring.Available() != 0) {
      sleeping.store(false);
      continue;
    }
    wakes.wait(before);
  }
  producer.join();
  CHECK(received == kCount);
}

}  // namespace ringbolt
