// Shows what checksum/checksum.h adds to the kernels: copying, joining, XXH3 of parts.

#include "checksum/checksum.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "checksum/dispatch.h"
#include "checksum/reference.h"
#include "checksum/vectors.h"
#include "support/seed.h"

namespace ringbolt {

namespace {

using test::Reference;

std::vector<uint8_t> RandomBytes(size_t bytes, std::mt19937_64* random) {
  std::vector<uint8_t> data(bytes);
  for (auto& byte : data) byte = static_cast<uint8_t>((*random)());
  return data;
}

constexpr uint8_t kGuard = 0xa5;
constexpr size_t kGuardBytes = 64;

// Copies `bytes` at both offsets into a guarded area, and says whether all of it went well.
template <typename Crc>
bool CopiesWell(Crc (*copy)(void*, const void*, size_t, Crc), const std::vector<uint8_t>& source,
                size_t from, size_t to, size_t bytes) {
  std::vector<uint8_t> target(bytes + to + (2 * kGuardBytes), kGuard);
  const Crc crc = copy(&target[kGuardBytes + to], &source[from], bytes, 7);
  if (crc != Reference<Crc>::ByTable(&source[from], bytes, 7)) return false;
  for (size_t i = 0; i < target.size(); ++i) {
    const size_t at = i - kGuardBytes - to;  // wraps around before the copy
    if (target[i] != (at < bytes ? source[from + at] : kGuard)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("checksum: the chosen kernel is behind the plain functions") {
  const auto vectors = test::ReadChecksumVectors();
  REQUIRE(!vectors.empty());
  for (const auto& vector : vectors) {
    CAPTURE(vector.name);
    CHECK(Crc32c(vector.data.data(), vector.data.size()) == vector.crc32c);
    CHECK(Crc64Nvme(vector.data.data(), vector.data.size()) == vector.crc64nvme);
  }
  std::vector<uint32_t> crc32s(3, 5);
  std::vector<uint64_t> crc64s(3, 5);
  BlockCrc32c("abcdef", 2, 3, crc32s.data());
  BlockCrc64Nvme("abcdef", 2, 3, crc64s.data());
  CHECK(crc32s[2] == Crc32c("ef", 2, 5));
  CHECK(crc64s[2] == Crc64Nvme("ef", 2, 5));
}

TEST_CASE("checksum: a copy equals its source, and nothing beside it is written") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto source = RandomBytes(70'000, &random);
  size_t wrong = 0;
  for (size_t bytes = 0; bytes < 600; ++bytes) {
    wrong += CopiesWell(CopyCrc32c, source, bytes % 64, bytes % 61, bytes) ? 0 : 1;
    wrong += CopiesWell(CopyCrc64Nvme, source, bytes % 61, bytes % 64, bytes) ? 0 : 1;
  }
  // Around the size of the pieces in which it is done.
  for (const size_t bytes : {8191, 8192, 8193, 16384, 16385, 65536, 69'000}) {
    wrong += CopiesWell(CopyCrc32c, source, 3, 5, bytes) ? 0 : 1;
    wrong += CopiesWell(CopyCrc64Nvme, source, 0, 1, bytes) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("checksum: CRCs of parts combine to the CRC of the whole") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes(20'000, &random);
  size_t wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    const size_t bytes = random() % data.size();
    const size_t split = random() % (bytes + 1);
    const uint8_t* b = data.data() + split;
    const size_t bytes_b = bytes - split;
    const uint32_t crc32 = Crc32cCombine(Crc32c(data.data(), split), Crc32c(b, bytes_b), bytes_b);
    const uint64_t crc64 =
        Crc64NvmeCombine(Crc64Nvme(data.data(), split), Crc64Nvme(b, bytes_b), bytes_b);
    if (crc32 != Crc32c(data.data(), bytes) || crc64 != Crc64Nvme(data.data(), bytes)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE(
    "checksum: combining does not depend on the order, also over more bytes than memory has") {
  // Sixteen exbibytes less some, doubled up from one block.
  constexpr size_t kBytes = 4096;
  const std::vector<uint8_t> block(kBytes, 0x3c);
  uint64_t bytes = kBytes;
  uint32_t crc32 = Crc32c(block.data(), kBytes);
  uint64_t crc64 = Crc64Nvme(block.data(), kBytes);
  const uint32_t block32 = crc32;
  const uint64_t block64 = crc64;
  for (; bytes < uint64_t{1} << 62; bytes *= 2) {
    CHECK(Crc32cCombine(block32, crc32, bytes) == Crc32cCombine(crc32, block32, kBytes));
    CHECK(Crc64NvmeCombine(block64, crc64, bytes) == Crc64NvmeCombine(crc64, block64, kBytes));
    crc32 = Crc32cCombine(crc32, crc32, bytes);
    crc64 = Crc64NvmeCombine(crc64, crc64, bytes);
  }
  CHECK(Crc32cCombine(crc32, 0, 0) == crc32);
  CHECK(Crc64NvmeCombine(crc64, 0, 0) == crc64);
}

TEST_CASE("XXH3: every kernel that this machine has gives the recorded results") {
  if (ChosenXxh3Kernel() == nullptr) {
    std::printf("SKIPPED: built without xxHash\n");
    return;
  }
  for (const auto& info : Xxh3Kernels()) {
    if (info.why_not != nullptr) {
      std::printf("%s was not tested: %s\n", info.name, info.why_not);
      continue;
    }
    for (const auto& vector : test::ReadChecksumVectors()) {
      CAPTURE(vector.name);
      CHECK(info.kernel->hash(vector.data.data(), vector.data.size(), 0) == vector.xxh3);
    }
  }
}

TEST_CASE("XXH3: kernels agree on every length and any seed, and blocks with single calls") {
  if (ChosenXxh3Kernel() == nullptr) {
    std::printf("SKIPPED: built without xxHash\n");
    return;
  }
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes(3000, &random);
  size_t wrong = 0;
  for (const auto& info : Xxh3Kernels()) {
    if (info.why_not != nullptr) continue;
    for (size_t bytes = 0; bytes + 64 < data.size(); ++bytes) {
      const uint8_t* p = &data[bytes % 64];
      const uint64_t start = random();
      if (info.kernel->hash(p, bytes, start) != kXxh3Baseline.hash(p, bytes, start)) ++wrong;
    }
  }
  CHECK(wrong == 0);
  std::vector<uint64_t> sums = {1, 2, 3};
  BlockXxh3(data.data(), 1000, 3, sums.data());
  for (size_t i = 0; i < 3; ++i) CHECK(sums[i] == Xxh3(&data[1000 * i], 1000, i + 1));
}

TEST_CASE("XXH3: parts give the hash of the whole, with every kernel, wherever they are split") {
  if (ChosenXxh3Kernel() == nullptr) {
    std::printf("SKIPPED: built without xxHash\n");
    return;
  }
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes(3000, &random);
  for (const auto& info : Xxh3Kernels()) {
    if (info.why_not != nullptr) continue;
    const Xxh3Kernel& kernel = *info.kernel;
    CAPTURE(info.name);
    size_t wrong = 0;
    for (const size_t bytes : {0, 1, 16, 17, 128, 240, 241, 256, 257, 1024, 1025, 3000}) {
      for (const uint64_t start : {uint64_t{0}, static_cast<uint64_t>(random())}) {
        const uint64_t whole = kXxh3Baseline.hash(data.data(), bytes, start);
        for (size_t split = 0; split <= bytes; ++split) {
          Xxh3State state{};
          state.seed = start;
          kernel.update(&state, data.data(), split);
          if (kernel.digest(&state) != kXxh3Baseline.hash(data.data(), split, start)) ++wrong;
          kernel.update(&state, data.data() + split, bytes - split);
          if (kernel.digest(&state) != whole) ++wrong;
        }
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("XXH3: a state takes pieces of any size, from one kernel after the other") {
  if (ChosenXxh3Kernel() == nullptr) {
    std::printf("SKIPPED: built without xxHash\n");
    return;
  }
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes(1'000'000, &random);
  std::vector<const Xxh3Kernel*> kernels;
  for (const auto& info : Xxh3Kernels()) {
    if (info.why_not == nullptr) kernels.push_back(info.kernel);
  }
  for (int round = 0; round < 20; ++round) {
    const uint64_t start = round % 2 == 0 ? 0 : random();
    Xxh3State state{};
    state.seed = start;
    size_t at = 0;
    while (at < data.size()) {
      // As many small pieces as large ones.
      const size_t piece = std::min<size_t>(random() >> (44 + (random() % 20)), data.size() - at);
      kernels[random() % kernels.size()]->update(&state, &data[at], piece);
      at += piece;
    }
    CHECK(Xxh3Digest(state) == Xxh3(data.data(), data.size(), start));
  }
}

TEST_CASE("XXH3: any bytes whatever are safe for a state") {
  if (ChosenXxh3Kernel() == nullptr) {
    std::printf("SKIPPED: built without xxHash\n");
    return;
  }
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes(3000, &random);
  for (const auto& info : Xxh3Kernels()) {
    if (info.why_not != nullptr) continue;
    for (int round = 0; round < 10'000; ++round) {
      const auto garbage = RandomBytes(sizeof(Xxh3State), &random);
      Xxh3State state;
      std::memcpy(&state, garbage.data(), sizeof(state));
      // Counts that are nearly right, as often as those that are not at all.
      if (round % 2 == 0) state.buffered %= 300;
      if (round % 3 == 0) state.stripes %= 20;
      if (round % 5 == 0) state.bytes_total %= 300;
      // Where this test can fail is in a run with sanitizers.
      info.kernel->update(&state, data.data(), random() % data.size());
      CHECK(info.kernel->digest(&state) == info.kernel->digest(&state));
    }
  }
}

}  // namespace ringbolt
