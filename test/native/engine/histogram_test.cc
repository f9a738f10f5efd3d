// Shows that every latency from 1 us to 60 s lies within 3 % of its bucket, and that buckets are in
// order.

#include "engine/histogram.h"

#include <doctest/doctest.h>

#include <memory>

namespace ringbolt {

namespace {

// The values of a bucket, as lib/metrics/histogram.ts computes them.
double LowEnd(uint32_t bucket) {
  const uint32_t row = bucket / Histogram::kSubBuckets;
  const uint32_t sub = bucket % Histogram::kSubBuckets;
  if (row == 0) return sub * 32.0;
  const double start = static_cast<double>(uint64_t{1} << (Histogram::kFirstOctave + row - 1));
  return start + (sub * start / Histogram::kSubBuckets);
}

}  // namespace

TEST_CASE("Histogram: the middle of a bucket is within 3 % of every value in it") {
  double worst = 0;
  for (double value = 1000; value < 60e9; value *= 1.0007) {
    const auto ns = static_cast<uint64_t>(value);
    const uint32_t bucket = Histogram::BucketOf(ns);
    REQUIRE(LowEnd(bucket) <= static_cast<double>(ns));
    REQUIRE(static_cast<double>(ns) < LowEnd(bucket + 1));
    const double middle = (LowEnd(bucket) + LowEnd(bucket + 1)) / 2;
    worst = std::max(worst, std::abs(middle - static_cast<double>(ns)) / static_cast<double>(ns));
  }
  CHECK(worst < 0.03);
}

TEST_CASE("Histogram: buckets grow with values, and the ends hold everything beyond") {
  uint32_t previous = 0;
  for (uint64_t ns = 0; ns < (uint64_t{1} << 20); ++ns) {
    const uint32_t bucket = Histogram::BucketOf(ns);
    REQUIRE(bucket >= previous);
    REQUIRE(bucket <= previous + 1);
    previous = bucket;
  }
  CHECK(Histogram::BucketOf(0) == 0);
  CHECK(Histogram::BucketOf((uint64_t{1} << 36) - 1) == Histogram::kBuckets - 1);
  CHECK(Histogram::BucketOf(uint64_t{1} << 36) == Histogram::kBuckets - 1);
  CHECK(Histogram::BucketOf(UINT64_MAX) == Histogram::kBuckets - 1);
}

TEST_CASE("Histogram: counts and the exact maximum") {
  const auto histogram = std::make_unique<Histogram>();
  for (uint64_t ns = 1; ns <= 1000; ++ns) histogram->Add(ns * 1000);
  uint64_t total = 0;
  for (uint32_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    total += histogram->Count(bucket);
  }
  CHECK(total == 1000);
  CHECK(histogram->Max() == 1'000'000);
}

}  // namespace ringbolt
