// The contract of checksum/crc_kernel.h, shown on every kernel: right results for every length,
// alignment, seed and split, and not one byte read outside the data.

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "base/align.h"
#include "checksum/dispatch.h"
#include "checksum/reference.h"
#include "checksum/vectors.h"
#include "support/seed.h"

#if RINGBOLT_HAVE_ISAL
#include <isa-l/crc.h>
#endif

namespace ringbolt {

namespace {

using test::Reference;

// The kernels by name, so that each is a test of its own and can be skipped alone.
template <const char* kName>
struct Kernel {
  // Null, after saying why, where it cannot run.
  static const CrcKernel* Get() {
    for (const auto& info : CrcKernels()) {
      if (std::string_view(info.name) != kName) continue;
      if (info.why_not == nullptr) return info.kernel;
      std::printf("SKIPPED: %s\n", info.why_not);
      return nullptr;
    }
    FAIL("no such kernel");
    return nullptr;
  }
};

constexpr char kPortableName[] = "portable";
constexpr char kSse42Name[] = "sse42";
constexpr char kAvx512Name[] = "avx512";
constexpr char kArmv8Name[] = "armv8";
using Portable = Kernel<kPortableName>;
using Sse42 = Kernel<kSse42Name>;
using Avx512 = Kernel<kAvx512Name>;
using Armv8 = Kernel<kArmv8Name>;

std::vector<uint8_t> RandomBytes(size_t bytes, std::mt19937_64* random) {
  std::vector<uint8_t> data(bytes);
  for (auto& byte : data) byte = static_cast<uint8_t>((*random)());
  return data;
}

// Runs a check for both CRCs.
template <typename Check>
void ForBoth(const CrcKernel& kernel, Check check) {
  check(kernel.crc32c, kernel.block_crc32c, uint32_t{0});
  check(kernel.crc64nvme, kernel.block_crc64nvme, uint64_t{0});
}

}  // namespace

}  // namespace ringbolt

TYPE_TO_STRING_AS("portable", ringbolt::Portable);
TYPE_TO_STRING_AS("sse42", ringbolt::Sse42);
TYPE_TO_STRING_AS("avx512", ringbolt::Avx512);
TYPE_TO_STRING_AS("armv8", ringbolt::Armv8);

namespace ringbolt {

#define KERNEL_TEST(name) TEST_CASE_TEMPLATE(name, TestKernel, Portable, Sse42, Avx512, Armv8)

KERNEL_TEST("CRC: every recorded vector") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel == nullptr) return;
  const auto vectors = test::ReadChecksumVectors();
  CHECK(vectors.size() >= 29);
  for (const auto& vector : vectors) {
    CAPTURE(vector.name);
    CHECK(kernel->crc32c(vector.data.data(), vector.data.size(), 0) == vector.crc32c);
    CHECK(kernel->crc64nvme(vector.data.data(), vector.data.size(), 0) == vector.crc64nvme);
  }
}

KERNEL_TEST("CRC: the examples of RFC 3720 B.4 and of the NVMe NVM command set specification") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel == nullptr) return;
  std::vector<uint8_t> data(4096, 0);
  CHECK(kernel->crc32c(data.data(), 32, 0) == 0x8a9136aa);
  CHECK(kernel->crc64nvme(data.data(), 4096, 0) == 0x6482d367eb22b64e);
  data.assign(4096, 0xff);
  CHECK(kernel->crc32c(data.data(), 32, 0) == 0x62a8ab43);
  CHECK(kernel->crc64nvme(data.data(), 4096, 0) == 0xc0ddba7302eca3ac);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i);
  CHECK(kernel->crc32c(data.data(), 32, 0) == 0x46dd794e);
  CHECK(kernel->crc64nvme(data.data(), 4096, 0) == 0x3e729f5f6750449c);
  std::reverse(data.begin(), data.end());
  CHECK(kernel->crc32c(data.data() + 4096 - 32, 32, 0) == 0x113fdb5c);
  CHECK(kernel->crc64nvme(data.data(), 4096, 0) == 0x9a2df64b8e9e517e);
  // An iSCSI SCSI Read (10) command PDU.
  const uint8_t pdu[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                           0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                           0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
  CHECK(kernel->crc32c(pdu, sizeof(pdu), 0) == 0xd9963a56);
}

// Every length below `lengths` at every `step`th alignment.
void CheckLengths(const CrcKernel& kernel, size_t lengths, size_t step) {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes(lengths + 128, &random);
  const auto* aligned = reinterpret_cast<const uint8_t*>(
      AlignUp(reinterpret_cast<uintptr_t>(data.data()), kCacheLineBytes));
  ForBoth(kernel, [&]<typename Crc>(auto update, auto, Crc) {
    size_t wrong = 0;
    for (size_t alignment = 0; alignment < 64; alignment += step) {
      const uint8_t* p = aligned + alignment;
      const Crc start = static_cast<Crc>(random());
      Crc state = static_cast<Crc>(~start);  // grows with the length: each costs one byte more
      for (size_t bytes = 0; bytes < lengths; ++bytes) {
        if (update(p, bytes, start) != static_cast<Crc>(~state)) ++wrong;
        state = Reference<Crc>::ByBits(state, p[bytes]);
      }
    }
    CHECK(wrong == 0);
  });
}

KERNEL_TEST("CRC: every length to 1024 at every alignment, from a random seed") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel != nullptr) CheckLengths(*kernel, 1025, 1);
}

// Large data goes another way, and in several rounds.
KERNEL_TEST("CRC: every length to 8 KiB at some alignments, from a random seed") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel != nullptr) CheckLengths(*kernel, 8193, 21);
}

KERNEL_TEST("CRC: nothing is read before or after the data") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel == nullptr) return;
  // One page between two that cannot be touched.
  auto* pages = static_cast<uint8_t*>(
      mmap(nullptr, 3 * kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(pages != MAP_FAILED);
  uint8_t* page = pages + kPageBytes;
  REQUIRE(mprotect(page, kPageBytes, PROT_READ | PROT_WRITE) == 0);
  for (size_t i = 0; i < kPageBytes; ++i) page[i] = static_cast<uint8_t>(i * 7);
  ForBoth(*kernel, [&]<typename Crc>(auto update, auto, Crc) {
    size_t wrong = 0;
    for (size_t bytes = 0; bytes <= kPageBytes; bytes += bytes < 1024 ? 1 : 61) {
      for (const uint8_t* p : {page, page + kPageBytes - bytes}) {
        if (update(p, bytes, 1) != Reference<Crc>::ByTable(p, bytes, 1)) ++wrong;
      }
    }
    CHECK(wrong == 0);
  });
  munmap(pages, 3 * kPageBytes);
}

KERNEL_TEST("CRC: the parts of a split give the CRC of the whole, wherever it is split") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel == nullptr) return;
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes(1700, &random);
  ForBoth(*kernel, [&]<typename Crc>(auto update, auto, Crc) {
    for (const size_t bytes : {1, 7, 64, 300, 1700}) {
      const Crc whole = Reference<Crc>::ByTable(data.data(), bytes);
      size_t wrong = 0;
      for (size_t split = 0; split <= bytes; ++split) {
        const Crc first = update(data.data(), split, 0);
        if (update(data.data() + split, bytes - split, first) != whole) ++wrong;
      }
      CHECK(wrong == 0);
    }
  });
}

KERNEL_TEST("CRC: 100 million random bytes in random pieces") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel == nullptr) return;
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  constexpr size_t kBytes = 100'000'000;
  std::vector<uint8_t> data(kBytes);
  for (size_t i = 0; i + 8 <= kBytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(&data[i], &word, 8);
  }
  ForBoth(*kernel, [&]<typename Crc>(auto update, auto, Crc) {
    Crc crc = 0;
    for (size_t at = 0; at < kBytes;) {
      // As many small pieces as large ones: a random number of random bits.
      const size_t piece = std::min<size_t>(random() >> (44 + (random() % 20)), kBytes - at);
      crc = update(&data[at], piece, crc);
      at += piece;
    }
    CHECK(crc == Reference<Crc>::ByTable(data.data(), kBytes));
  });
}

KERNEL_TEST("CRC: many blocks in one call, each from its own seed") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel == nullptr) return;
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto data = RandomBytes((19 * 8192) + 1, &random);
  ForBoth(*kernel, [&]<typename Crc>(auto, auto block, Crc) {
    for (const size_t block_bytes :
         {0, 1, 8, 63, 64, 65, 128, 192, 512, 513, 520, 4096, 4160, 8192}) {
      for (size_t blocks = 0; blocks < 20; ++blocks) {
        std::vector<Crc> crcs(blocks + 1);
        for (Crc& crc : crcs) crc = static_cast<Crc>(random());
        const auto seeds = crcs;
        const uint8_t* p = data.data() + (blocks % 2);
        block(p, block_bytes, blocks, crcs.data());
        size_t wrong = 0;
        for (size_t i = 0; i < blocks; ++i) {
          const auto* start = p + (i * block_bytes);
          if (crcs[i] != Reference<Crc>::ByTable(start, block_bytes, seeds[i])) ++wrong;
        }
        CHECK(wrong == 0);
        CHECK(crcs[blocks] == seeds[blocks]);  // nothing written behind the last
      }
    }
  });
}

KERNEL_TEST("CRC: ISA-L agrees on 100 million random bytes in random pieces") {
  const CrcKernel* kernel = TestKernel::Get();
  if (kernel == nullptr) return;
#if RINGBOLT_HAVE_ISAL
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  auto data = RandomBytes(size_t{1} << 20, &random);
  size_t wrong = 0;
  for (size_t done = 0; done < 100'000'000;) {
    const size_t bytes = random() >> (44 + (random() % 20));
    const size_t at = random() % (data.size() - bytes + 1);
    const auto start = static_cast<uint32_t>(random());
    // ISA-L's takes and returns the CRC without the inversions.
    const uint32_t theirs = ~crc32_iscsi(&data[at], static_cast<int>(bytes), ~start);
    if (kernel->crc32c(&data[at], bytes, start) != theirs) ++wrong;
    done += bytes + 1;
  }
  CHECK(wrong == 0);
#else
  std::printf("SKIPPED: built without ISA-L (libisal-dev)\n");
#endif
}

}  // namespace ringbolt
