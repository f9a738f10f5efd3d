// Shows that faults come at the rates that were asked for, are the same for the same seed, and are
// none that a kernel could not make.

#include "io/faulty_backend.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "support/backend_fixture.h"
#include "support/seed.h"

namespace ringbolt {

using test::BackendFixture;
using test::Buffer;

namespace {

constexpr uint32_t kOperations = 4000;
constexpr uint32_t kBytes = 8192;

FaultPlan plan;  // of the backends that are made from now on

Status CreateFaulty(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  Status status = test::Threads::Create(options, backend);
  if (status.ok()) *backend = AddFaults(plan, options.max_in_flight, std::move(*backend));
  return status;
}

class FaultyFixture : public BackendFixture {
 public:
  FaultyFixture() : BackendFixture(CreateFaulty, {"", {}}) {}

  // Results by id, in the order in which they came.
  std::vector<BackendResult> RunMany(OpKind kind, bool direct = true,
                                     uint32_t count = kOperations) {
    std::vector<BackendResult> all;
    for (uint64_t id = 0; id < count; id += kInFlight) {
      std::vector<BackendOp> ops;
      for (uint64_t i = id; i < id + kInFlight; ++i) {
        const uint64_t offset = i % 64 * kBytes;
        uint8_t* data = buffer_.data + (i % kInFlight * kBytes);
        ops.push_back(direct ? Op(kind, i, offset, data, kBytes)
                             : BufferedOp(kind, i, offset, data, kBytes));
      }
      Submit(ops);
      const auto results = Collect(kInFlight);
      all.insert(all.end(), results.begin(), results.end());
    }
    return all;
  }

 private:
  Buffer buffer_{size_t{kInFlight} * kBytes};
};

std::map<uint64_t, int32_t> ById(const std::vector<BackendResult>& results) {
  std::map<uint64_t, int32_t> by_id;
  for (const BackendResult& result : results) {
    CHECK(by_id.emplace(result.id, result.result).second);
  }
  return by_id;
}

double Share(const std::vector<BackendResult>& results, int32_t result) {
  const auto count = std::ranges::count_if(
      results, [&](const BackendResult& one) { return one.result == result; });
  return static_cast<double>(count) / static_cast<double>(results.size());
}

}  // namespace

TEST_CASE("FaultyBackend: without rates nothing changes") {
  plan = {.seed = 1};
  FaultyFixture fixture;
  CHECK(Share(fixture.RunMany(OpKind::kRead), kBytes) == 1);
}

TEST_CASE("FaultyBackend: errors come at their rates, each on the operations that can have it") {
  const uint64_t seed = test::Seed() | 1;
  CAPTURE(seed);
  plan = {.seed = seed,
          .eintr = 50'000,
          .eagain = 100'000,
          .eio = 150'000,
          .enospc = 50'000,
          .erofs = 100'000};
  FaultyFixture fixture;
  for (const OpKind kind : {OpKind::kRead, OpKind::kWrite, OpKind::kDataSync, OpKind::kNop}) {
    const auto results = fixture.RunMany(kind);
    const bool any = kind != OpKind::kNop;
    const bool changes = any && kind != OpKind::kRead;
    // Six standard deviations of the rarest are 0.02.
    CHECK(Share(results, -EINTR) == doctest::Approx(any ? 0.05 : 0).epsilon(0.025));
    CHECK(Share(results, -EAGAIN) == doctest::Approx(any ? 0.10 : 0).epsilon(0.03));
    CHECK(Share(results, -EIO) == doctest::Approx(any ? 0.15 : 0).epsilon(0.035));
    CHECK(Share(results, -ENOSPC) == doctest::Approx(changes ? 0.05 : 0).epsilon(0.025));
    CHECK(Share(results, -EROFS) == doctest::Approx(changes ? 0.10 : 0).epsilon(0.03));
  }
}

TEST_CASE("FaultyBackend: the same seed gives each operation the same fate, another seed another") {
  const uint64_t seed = test::Seed() | 1;
  CAPTURE(seed);
  std::map<uint64_t, int32_t> fates[3];
  for (uint64_t i = 0; i < 3; ++i) {
    plan = {.seed = i == 2 ? seed + 1 : seed,
            .eio = 200'000,
            .short_transfers = 300'000,
            .delays = 500'000};
    FaultyFixture fixture;
    fates[i] = ById(fixture.RunMany(OpKind::kWrite));
  }
  CHECK(fates[0] == fates[1]);
  CHECK(fates[0] != fates[2]);
}

TEST_CASE("FaultyBackend: transfers stop short where a kernel may stop, and never at nothing") {
  const uint64_t seed = test::Seed() | 1;
  CAPTURE(seed);
  plan = {.seed = seed, .short_transfers = kAllOperations};
  FaultyFixture fixture;
  bool within_block[2] = {};
  for (const BackendResult& result : fixture.RunMany(OpKind::kRead)) {
    CHECK((result.result > 0 && result.result < static_cast<int32_t>(kBytes)));
    CHECK(result.result % 512 == 0);
  }
  for (const bool direct : {true, false}) {
    const OpKind kind = direct ? OpKind::kWrite : OpKind::kRead;
    for (const BackendResult& result : fixture.RunMany(kind, direct)) {
      CHECK((result.result > 0 && result.result < static_cast<int32_t>(kBytes)));
      within_block[direct ? 1 : 0] |= result.result % 512 != 0;
    }
  }
  CHECK(within_block[0]);
  CHECK(within_block[1]);
}

TEST_CASE("FaultyBackend: late results are overtaken, and all come") {
  plan = {.seed = 7, .delays = kAllOperations / 2};
  FaultyFixture fixture;
  const auto results = fixture.RunMany(OpKind::kNop);
  CHECK(ById(results).size() == results.size());
  CHECK_FALSE(std::ranges::is_sorted(results, {}, &BackendResult::id));
}

TEST_CASE("FaultyBackend: a lost cancellation leaves the operation to its own end") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  for (const uint32_t rate : {0U, kAllOperations}) {
    plan = {.seed = 3, .lost_cancels = rate};
    BackendFixture fixture(
        [](const BackendOptions& options, std::unique_ptr<Backend>* backend) {
          Status status = test::Uring::Create(options, backend);
          if (status.ok()) *backend = AddFaults(plan, options.max_in_flight, std::move(*backend));
          return status;
        },
        {"", {}});
    if (!fixture.available()) break;
    Buffer buffer(4096);
    BackendOp op = fixture.BufferedOp(OpKind::kRead, 1, 0, buffer.data, 1);
    op.fd = ends[0];
    fixture.Submit({op});
    CHECK(fixture.backend().Wait(false).ok());
    fixture.backend().Cancel(1);
    if (rate != 0) REQUIRE(write(ends[1], "x", 1) == 1);
    CHECK((fixture.Collect(1)[0].result == 1) == (rate != 0));
  }
  close(ends[0]);
  close(ends[1]);
}

}  // namespace ringbolt
