// The contract of io/backend.h, shown on every backend and with every optional feature of the
// kernel switched off in turn, as on a kernel that lacks it.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <set>
#include <thread>

#include "base/align.h"
#include "base/clock.h"
#include "io/backend.h"
#include "io/uring_backend.h"
#include "support/temp_file.h"

namespace ringbolt {

namespace {

constexpr uint32_t kInFlight = 32;
constexpr size_t kFileBytes = size_t{1} << 20;

struct Variant {
  const char* name;
  std::vector<std::string> without;
};

const Variant kVariants[] = {
    {"all features", {}},
    {"no SUBMIT_ALL", {"SUBMIT_ALL"}},
    {"no COOP_TASKRUN", {"COOP_TASKRUN"}},
    {"no DEFER_TASKRUN", {"DEFER_TASKRUN"}},
    {"no SINGLE_ISSUER", {"SINGLE_ISSUER", "DEFER_TASKRUN"}},
    {"no REGISTERED_RING", {"REGISTERED_RING"}},
    {"no FIXED_FILES", {"FIXED_FILES"}},
    {"none",
     {"SUBMIT_ALL", "COOP_TASKRUN", "SINGLE_ISSUER", "DEFER_TASKRUN", "REGISTERED_RING",
      "FIXED_FILES"}},
};

struct Buffer {
  explicit Buffer(size_t bytes)
      : data(static_cast<uint8_t*>(std::aligned_alloc(kPageBytes, AlignUp(bytes, kPageBytes)))) {}
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  uint8_t* const data;
};

class Fixture {
 public:
  explicit Fixture(const Variant& variant) : file_(kFileBytes) {
    status_ = CreateUringBackend(
        {.max_in_flight = kInFlight, .max_files = 8, .without = variant.without}, &backend_);
    fd_ = open(file_.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    REQUIRE(fd_ >= 0);
    if (available()) backend_->RegisterFile(3, fd_);
  }
  ~Fixture() {
    backend_.reset();
    close(fd_);
  }

  bool available() const {
    if (status_.ok()) return true;
    std::printf("SKIPPED: io_uring: %s\n", std::strerror(status_.error()));
    return false;
  }
  Backend& backend() { return *backend_; }
  int fd() const { return fd_; }

  BackendOp Op(OpKind kind, uint64_t id, uint64_t offset = 0, void* data = nullptr,
               uint32_t length = 0) const {
    BackendOp op;
    op.kind = kind;
    op.id = id;
    op.fd = fd_;
    op.file_slot = 3;
    op.offset = offset;
    op.data = data;
    op.length = length;
    return op;
  }

  std::vector<BackendResult> Collect(size_t count) {
    std::vector<BackendResult> collected;
    std::array<BackendResult, 8> results;
    while (collected.size() < count) {
      REQUIRE(backend_->Wait(true).ok());
      for (size_t n = backend_->Reap(results); n > 0; n = backend_->Reap(results)) {
        collected.insert(collected.end(), results.begin(), results.begin() + static_cast<long>(n));
      }
    }
    return collected;
  }

  int32_t Run(const BackendOp& op) {
    REQUIRE(backend_->Submit({&op, 1}) == 1);
    const auto results = Collect(1);
    REQUIRE(results.size() == 1);
    CHECK(results[0].id == op.id);
    return results[0].result;
  }

 private:
  test::TempFile file_;
  std::unique_ptr<Backend> backend_;
  Status status_;
  int fd_ = -1;
};

template <typename Body>
void OnEveryVariant(Body body) {
  for (const Variant& variant : kVariants) {
    SUBCASE(variant.name) {
      Fixture fixture(variant);
      if (fixture.available()) body(fixture);
    }
  }
}

}  // namespace

TEST_CASE("Backend: reads, writes, syncs and no-ops give their results") {
  OnEveryVariant([](Fixture& fixture) {
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

TEST_CASE("Backend: the end of the file is a short read, then none") {
  OnEveryVariant([](Fixture& fixture) {
    Buffer buffer(8192);
    CHECK(fixture.Run(fixture.Op(OpKind::kRead, 1, kFileBytes - 4096, buffer.data, 8192)) == 4096);
    CHECK(fixture.Run(fixture.Op(OpKind::kRead, 2, kFileBytes, buffer.data, 4096)) == 0);
  });
}

TEST_CASE("Backend: failures are results, and do not disturb the operations around them") {
  OnEveryVariant([](Fixture& fixture) {
    Buffer buffer(4096);
    BackendOp ops[3] = {fixture.Op(OpKind::kNop, 1),
                        fixture.Op(OpKind::kRead, 2, 0, buffer.data, 4096),
                        fixture.Op(OpKind::kRead, 3, 0, buffer.data, 4096)};
    ops[1].fd = -1;
    ops[1].file_slot = 7;  // nothing there
    REQUIRE(fixture.backend().Submit(ops) == 3);
    int32_t by_id[4] = {};
    for (const BackendResult& result : fixture.Collect(3)) by_id[result.id] = result.result;
    CHECK(by_id[1] == 0);
    CHECK(by_id[2] == -EBADF);
    CHECK(by_id[3] == 4096);
  });
}

TEST_CASE("Backend: takes as many operations as it was made for, and no more") {
  OnEveryVariant([](Fixture& fixture) {
    std::vector<BackendOp> ops;
    for (uint64_t id = 0; id < kInFlight + 5; ++id) ops.push_back(fixture.Op(OpKind::kNop, id));
    CHECK(fixture.backend().Submit(ops) == kInFlight);
    CHECK(fixture.backend().Submit(std::span(ops).last(5)) == 0);
    std::set<uint64_t> seen;
    for (const BackendResult& result : fixture.Collect(kInFlight)) seen.insert(result.id);
    CHECK(seen.size() == kInFlight);
    CHECK(fixture.backend().Submit(std::span(ops).last(5)) == 5);
    CHECK(fixture.Collect(5).size() == 5);
  });
}

TEST_CASE("Backend: each of many reads under way gives exactly one result, with its own data") {
  OnEveryVariant([](Fixture& fixture) {
    Buffer buffer(kInFlight * 4096);
    std::vector<uint32_t> results(256, 0);
    uint64_t next = 0;
    size_t under_way = 0;
    while (next < results.size() || under_way > 0) {
      while (under_way < kInFlight && next < results.size()) {
        const BackendOp op = fixture.Op(OpKind::kRead, next, next * 4096,
                                        buffer.data + ((next % kInFlight) * 4096), 4096);
        REQUIRE(fixture.backend().Submit({&op, 1}) == 1);
        ++next;
        ++under_way;
      }
      // All of a round, so that no buffer is used by two.
      for (const BackendResult& result : fixture.Collect(under_way)) {
        REQUIRE(result.result == 4096);
        ++results[result.id];
        REQUIRE(test::TempFile::MatchesPattern(buffer.data + ((result.id % kInFlight) * 4096),
                                               result.id * 4096, 4096));
      }
      under_way = 0;
    }
    for (const uint32_t count : results) CHECK(count == 1);
  });
}

TEST_CASE("Backend: Wake() ends a wait from another thread, also one that begins after it") {
  OnEveryVariant([](Fixture& fixture) {
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

TEST_CASE("Backend: a cancelled operation still has its one result") {
  OnEveryVariant([](Fixture& fixture) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    Buffer buffer(4096);
    BackendOp op = fixture.Op(OpKind::kRead, 42, 0, buffer.data, 16);
    op.fd = ends[0];  // nobody will ever write to it
    op.file_slot = 7;
    REQUIRE(fixture.backend().Submit({&op, 1}) == 1);
    CHECK(fixture.backend().Wait(false).ok());
    fixture.backend().Cancel(42);
    const auto results = fixture.Collect(1);
    CHECK(results[0].id == 42);
    CHECK((results[0].result == -ECANCELED || results[0].result == -EINTR));
    fixture.backend().Cancel(42);  // nothing to cancel any more, and no result for that
    CHECK(fixture.Run(fixture.Op(OpKind::kNop, 43)) == 0);
    close(ends[0]);
    close(ends[1]);
  });
}

TEST_CASE("Backend: a file slot can be given another file") {
  OnEveryVariant([](Fixture& fixture) {
    test::TempFile other(4096);
    const int fd = open(other.path().c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    Buffer buffer(8192);
    fixture.backend().RegisterFile(3, -1);
    fixture.backend().RegisterFile(3, fd);
    BackendOp op = fixture.Op(OpKind::kRead, 1, 0, buffer.data, 8192);
    op.fd = fd;
    CHECK(fixture.Run(op) == 4096);
    fixture.backend().RegisterFile(3, -1);
    fixture.backend().RegisterFile(99, fd);  // no such slot: goes by descriptor
    close(fd);
  });
}

TEST_CASE("Backend: features that are not there are reported with their reason") {
  for (const Variant& variant : kVariants) {
    SUBCASE(variant.name) {
      Fixture fixture(variant);
      if (!fixture.available()) return;
      for (const BackendFeature& feature : fixture.backend().features()) {
        CHECK(feature.active == feature.reason.empty());
        for (const std::string& name : variant.without) {
          if (name == feature.name) CHECK(feature.reason == "disabled by request");
        }
      }
      CHECK(fixture.backend().features().size() == 6);
    }
  }
}

}  // namespace ringbolt
