// The contract of io/backend.h, shown on every backend; with every optional feature of the kernel
// switched off in turn, as on a kernel that lacks it; and once more around each with results that
// come late and in another order.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "support/backend_fixture.h"

namespace ringbolt {

using test::BackendFixture;
using test::Buffer;
using test::OnEveryVariant;

namespace {

constexpr uint32_t kInFlight = BackendFixture::kInFlight;
constexpr size_t kFileBytes = BackendFixture::kFileBytes;

}  // namespace

BACKEND_TEST("Backend: reads, writes, syncs and no-ops give their results") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(8192);
    CHECK(fixture.Run(fixture.Op(OpKind::kNop, 1)) == 0);
    CHECK(fixture.Run(fixture.Op(OpKind::kRead, 2, 4096, buffer.data, 8192)) == 8192);
    CHECK(test::TempFile::MatchesPattern(buffer.data, 4096, 8192));
    std::memset(buffer.data, 0x5a, 8192);
    CHECK(fixture.Run(fixture.Op(OpKind::kWrite, 3, 0, buffer.data, 8192)) == 8192);
    CHECK(fixture.Run(fixture.Op(OpKind::kDataSync, 4)) == 0);
    BackendOp durable = fixture.Op(OpKind::kWrite, 5, 8192, buffer.data, 4096);
    durable.durable = true;
    CHECK(fixture.Run(durable) == 4096);
    std::memset(buffer.data, 0, 8192);
    CHECK(fixture.Run(fixture.Op(OpKind::kRead, 6, 4096, buffer.data, 8192)) == 8192);
    CHECK(buffer.data[0] == 0x5a);
    CHECK(buffer.data[8191] == 0x5a);
  });
}

BACKEND_TEST("Backend: files that are not direct take any offset, length and address") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(8192);
    std::memset(buffer.data, 0x33, 8192);
    BackendOp write = fixture.BufferedOp(OpKind::kWrite, 1, 4099, buffer.data + 1, 1001);
    CHECK(fixture.Run(write) == 1001);
    write.durable = true;
    CHECK(fixture.Run(write) == 1001);
    CHECK(fixture.Run(fixture.BufferedOp(OpKind::kDataSync, 2)) == 0);
    CHECK(fixture.Run(fixture.BufferedOp(OpKind::kRead, 3, 4096, buffer.data, 2000)) == 2000);
    CHECK(buffer.data[1] == 0x04);  // still the pattern: 4096 / 4 is 0x400
    CHECK(buffer.data[3] == 0x33);
    CHECK(buffer.data[1003] == 0x33);
    CHECK(buffer.data[1004] != 0x33);
  });
}

BACKEND_TEST("Backend: reads of idle priority, a hint, read what others do") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(4096);
    for (BackendOp op : {fixture.Op(OpKind::kRead, 1, 4096, buffer.data, 4096),
                         fixture.BufferedOp(OpKind::kRead, 1, 4096, buffer.data, 4096)}) {
      std::memset(buffer.data, 0, 4096);
      op.idle_priority = true;
      CHECK(fixture.Run(op) == 4096);
      CHECK(test::TempFile::MatchesPattern(buffer.data, 4096, 4096));
    }
  });
}

BACKEND_TEST("Backend: the end of the file is a short read, then none") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(8192);
    CHECK(fixture.Run(fixture.Op(OpKind::kRead, 1, kFileBytes - 4096, buffer.data, 8192)) == 4096);
    CHECK(fixture.Run(fixture.Op(OpKind::kRead, 2, kFileBytes, buffer.data, 4096)) == 0);
    const uint64_t near_end = kFileBytes - 10;
    CHECK(fixture.Run(fixture.BufferedOp(OpKind::kRead, 3, near_end, buffer.data, 4096)) == 10);
    CHECK(fixture.Run(fixture.BufferedOp(OpKind::kRead, 4, kFileBytes, buffer.data, 4096)) == 0);
  });
}

BACKEND_TEST("Backend: failures are results, and do not disturb the operations around them") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(kInFlight * 4096);  // each has its own: they run at the same time
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    REQUIRE(full >= 0);
    std::map<uint64_t, int32_t> expected;
    std::vector<BackendOp> ops;
    const auto add = [&](const BackendOp& op, int32_t result) {
      BackendOp good =
          fixture.Op(OpKind::kRead, ops.size(), 0, buffer.data + (ops.size() * 4096), 4096);
      expected[good.id] = 4096;
      ops.push_back(good);
      ops.push_back(op);
      ops.back().id = ops.size() - 1;
      expected[ops.back().id] = result;
    };
    for (const bool direct : {true, false}) {
      BackendOp none = fixture.Op(OpKind::kRead, 0, 0, buffer.data, 4096);
      none.fd = -1;
      none.file_slot = 7;  // nothing there
      none.direct = direct;
      add(none, -EBADF);
    }
    add(fixture.Op(OpKind::kRead, 0, 0, buffer.data + 1, 511), -EINVAL);
    add(fixture.Op(OpKind::kRead, 0, 0, reinterpret_cast<void*>(4096), 4096), -EFAULT);
    add(fixture.BufferedOp(OpKind::kRead, 0, 0, reinterpret_cast<void*>(4096), 4096), -EFAULT);
    add(fixture.BufferedOp(OpKind::kWrite, 0, uint64_t{1} << 62, buffer.data, 512), -EFBIG);
    BackendOp no_space = fixture.BufferedOp(OpKind::kWrite, 0, 0, buffer.data, 512);
    no_space.fd = full;
    add(no_space, -ENOSPC);
    BackendOp not_readable = fixture.BufferedOp(OpKind::kRead, 0, 0, buffer.data, 512);
    not_readable.fd = full;
    add(not_readable, -EBADF);
    fixture.Submit(ops);
    for (const BackendResult& result : fixture.Collect(ops.size())) {
      CAPTURE(result.id);
      CHECK(result.result == expected[result.id]);
    }
    close(full);
  });
}

BACKEND_TEST("Backend: takes as many operations as it was made for, and no more") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer((kInFlight + 5) * 512);
    std::vector<BackendOp> ops;
    for (uint64_t id = 0; id < kInFlight + 5; ++id) {
      const OpKind kind = id % 2 == 0 ? OpKind::kNop : OpKind::kRead;
      ops.push_back(fixture.Op(kind, id, 0, buffer.data + (id * 512), 512));
    }
    CHECK(fixture.backend().Submit(ops) == kInFlight);
    CHECK(fixture.backend().Submit(std::span(ops).last(5)) == 0);
    std::set<uint64_t> seen;
    for (const BackendResult& result : fixture.Collect(kInFlight)) seen.insert(result.id);
    CHECK(seen.size() == kInFlight);
    CHECK(fixture.backend().Submit(std::span(ops).last(5)) == 5);
    CHECK(fixture.Collect(5).size() == 5);
  });
}

BACKEND_TEST("Backend: each of many reads under way gives exactly one result, with its own data") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(kInFlight * 4096);
    std::vector<uint32_t> results(256, 0);
    std::vector<uint64_t> free_buffers;
    std::map<uint64_t, uint64_t> buffer_of;
    for (uint64_t i = 0; i < kInFlight; ++i) free_buffers.push_back(i);
    std::array<BackendResult, 8> reaped;
    for (uint64_t next = 0; next < results.size() || !buffer_of.empty();) {
      while (next < results.size() && !free_buffers.empty()) {
        buffer_of[next] = free_buffers.back();
        uint8_t* data = buffer.data + (free_buffers.back() * 4096);
        fixture.Submit({next % 3 == 0
                            ? fixture.BufferedOp(OpKind::kRead, next, next * 4096, data, 4096)
                            : fixture.Op(OpKind::kRead, next, next * 4096, data, 4096)});
        free_buffers.pop_back();
        ++next;
      }
      REQUIRE(fixture.backend().Wait(true).ok());
      const size_t count = fixture.backend().Reap(reaped);
      for (const BackendResult& result : std::span(reaped).first(count)) {
        REQUIRE(result.result == 4096);
        REQUIRE(buffer_of.count(result.id) == 1);
        ++results[result.id];
        const uint64_t place = buffer_of[result.id];
        REQUIRE(
            test::TempFile::MatchesPattern(buffer.data + (place * 4096), result.id * 4096, 4096));
        free_buffers.push_back(place);
        buffer_of.erase(result.id);
      }
    }
    for (const uint32_t count : results) CHECK(count == 1);
  });
}

BACKEND_TEST("Backend: more operations at once than any queue of the kernel holds") {
  constexpr uint32_t kMany = 6000;  // io_uring: 4096 submissions; aio: 1024 events
  OnEveryVariant<TestBackend>(
      [](BackendFixture& fixture) {
        Buffer buffer(size_t{kMany} * 512);
        const auto offset_of = [](uint64_t id) { return id * 512 % kFileBytes; };
        std::vector<BackendOp> ops;
        for (uint64_t id = 0; id < kMany; ++id) {
          ops.push_back(
              fixture.Op(OpKind::kRead, id, offset_of(id), buffer.data + (id * 512), 512));
        }
        fixture.Submit(ops);
        std::vector<uint32_t> seen(kMany, 0);
        for (const BackendResult& result : fixture.Collect(kMany)) {
          ++seen[result.id];
          const uint8_t* data = buffer.data + (result.id * 512);
          const bool right = result.result == 512 &&
                             test::TempFile::MatchesPattern(data, offset_of(result.id), 512);
          if (!right) FAIL_CHECK(result.result);
        }
        for (const uint32_t count : seen) {
          if (count != 1) FAIL_CHECK(count);
        }
      },
      kMany);
}

BACKEND_TEST("Backend: Wake() ends a wait from another thread, also one that begins after it") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    fixture.backend().Wake();
    CHECK(fixture.backend().Wait(true).ok());
    for (int round = 0; round < 200; ++round) {
      BackendResult result;
      std::thread waker([&] { fixture.backend().Wake(); });
      CHECK(fixture.backend().Wait(true).ok());
      CHECK(fixture.backend().Reap({&result, 1}) == 0);
      waker.join();
      // The wake-up was one of this round's; the next round needs its own.
      while (fixture.backend().Wait(false).ok() && fixture.backend().Reap({&result, 1}) > 0) {
      }
    }
  });
}

// Whoever wakes waits until that was seen before it wakes again: a wake-up that is lost is never
// made good for, and the test hangs.
BACKEND_TEST("Backend: no wake-up is lost, with many threads waking and operations completing") {
  constexpr uint32_t kWakers = 4;
  constexpr uint32_t kRounds = 500;
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(4096);
    std::array<std::atomic<uint32_t>, kWakers> asked{};
    std::array<std::atomic<uint32_t>, kWakers> seen{};
    std::vector<std::thread> wakers;
    for (uint32_t w = 0; w < kWakers; ++w) {
      wakers.emplace_back([&, w] {
        for (uint32_t round = 1; round <= kRounds; ++round) {
          asked[w].store(round);
          fixture.backend().Wake();
          while (seen[w].load() != round) std::this_thread::yield();
        }
      });
    }
    const auto unfinished = [&] {
      bool any = false;
      for (uint32_t w = 0; w < kWakers; ++w) {
        seen[w].store(asked[w].load());
        any |= seen[w].load() != kRounds;
      }
      return any;
    };
    uint64_t id = 0;
    uint32_t in_flight = 0;
    std::array<BackendResult, 8> results;
    while (unfinished()) {
      // Now and then nothing is in flight that could end the wait instead.
      if (in_flight == 0 && ++id % 4 == 0) {
        fixture.Submit({fixture.Op(OpKind::kRead, id, 0, buffer.data, 4096)});
        ++in_flight;
      }
      REQUIRE(fixture.backend().Wait(true).ok());
      in_flight -= static_cast<uint32_t>(fixture.backend().Reap(results));
    }
    if (in_flight > 0) (void)fixture.Collect(in_flight);
    for (std::thread& waker : wakers) waker.join();
  });
}

// A pipe is no file that an engine opens, but the one thing that never answers. Backends that ask
// for an offset fail at once with ESPIPE.
BACKEND_TEST("Backend: a cancelled operation still has its one result") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    Buffer buffer(4096);
    BackendOp op = fixture.BufferedOp(OpKind::kRead, 42, 0, buffer.data, 16);
    op.fd = ends[0];  // nobody will ever write to it
    fixture.Submit({op});
    CHECK(fixture.backend().Wait(false).ok());
    fixture.backend().Cancel(42);
    const auto results = fixture.Collect(1);
    CHECK(results[0].id == 42);
    CHECK((results[0].result == -ECANCELED || results[0].result == -EINTR ||
           results[0].result == -ESPIPE));
    fixture.backend().Cancel(42);  // nothing to cancel any more, and no result for that
    CHECK(fixture.Run(fixture.Op(OpKind::kNop, 43)) == 0);
    close(ends[0]);
    close(ends[1]);
  });
}

BACKEND_TEST(
    "Backend: operations cancelled before, while and after they run have one result each") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    Buffer buffer(kInFlight * 4096);
    for (int round = 0; round < 20; ++round) {
      std::vector<BackendOp> ops;
      for (uint64_t id = 0; id < kInFlight; ++id) {
        uint8_t* data = buffer.data + (id * 4096);
        ops.push_back(id % 2 == 0 ? fixture.Op(OpKind::kRead, id, id * 4096, data, 4096)
                                  : fixture.BufferedOp(OpKind::kRead, id, id * 4096, data, 4096));
      }
      fixture.Submit(ops);
      for (uint64_t id = 0; id < 8; ++id) fixture.backend().Cancel(id);
      CHECK(fixture.backend().Wait(false).ok());
      for (uint64_t id = 8; id < kInFlight; ++id) fixture.backend().Cancel(id);
      fixture.backend().Cancel(999);  // never was
      std::set<uint64_t> seen;
      for (const BackendResult& result : fixture.Collect(kInFlight)) {
        CHECK(seen.insert(result.id).second);
        CHECK((result.result == 4096 || result.result == -ECANCELED || result.result == -EINTR));
        if (result.result != 4096) continue;
        CHECK(test::TempFile::MatchesPattern(buffer.data + (result.id * 4096), result.id * 4096,
                                             4096));
      }
      CHECK(seen.size() == kInFlight);
      for (uint64_t id = 0; id < kInFlight; ++id) fixture.backend().Cancel(id);
    }
    CHECK(fixture.Run(fixture.Op(OpKind::kNop, 1)) == 0);
  });
}

BACKEND_TEST("Backend: a file slot can be given another file") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    test::TempFile other(4096);
    const int fd = open(other.path().c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    Buffer buffer(8192);
    fixture.backend().RegisterFile(BackendFixture::kFileSlot, -1);
    fixture.backend().RegisterFile(BackendFixture::kFileSlot, fd);
    BackendOp op = fixture.BufferedOp(OpKind::kRead, 1, 0, buffer.data, 8192);
    op.fd = fd;
    op.file_slot = BackendFixture::kFileSlot;
    CHECK(fixture.Run(op) == 4096);
    fixture.backend().RegisterFile(BackendFixture::kFileSlot, -1);
    fixture.backend().RegisterFile(99, fd);  // no such slot: goes by descriptor
    close(fd);
  });
}

BACKEND_TEST("Backend: can be destroyed unused, woken, and with results that nobody took") {
  OnEveryVariant<TestBackend>([](BackendFixture& fixture) {
    SUBCASE("unused") {}
    SUBCASE("woken") { fixture.backend().Wake(); }
    SUBCASE("with results") {
      fixture.Submit({fixture.Op(OpKind::kNop, 1), fixture.Op(OpKind::kNop, 2)});
      CHECK(fixture.backend().Wait(true).ok());
    }
    SUBCASE("with submissions that were not handed over") {
      fixture.Submit({fixture.Op(OpKind::kNop, 1), fixture.Op(OpKind::kNop, 2)});
    }
    fixture.DestroyBackend();
  });
}

BACKEND_TEST("Backend: features that are not there are reported with their reason") {
  for (const test::BackendVariant& variant : TestBackend::Variants()) {
    SUBCASE(variant.name) {
      BackendFixture fixture(TestBackend::Create, variant);
      if (!fixture.available()) return;
      size_t without = 0;
      for (const BackendFeature& feature : fixture.backend().features()) {
        CHECK(feature.active == feature.reason.empty());
        for (const std::string& name : variant.without) {
          if (name != feature.name) continue;
          CHECK(feature.reason == "disabled by request");
          ++without;
        }
      }
      CHECK(without == variant.without.size());
    }
  }
}

}  // namespace ringbolt
