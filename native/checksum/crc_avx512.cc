// CRCs with AVX-512 and VPCLMULQDQ: 64 bytes a step, folded forwards until 128 bits are left
// (Gopal, Ozturk, Guilford and others, "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ", Intel 2009), with the constants and conventions of fold_constants.h.
//
// Large data goes through eight accumulators, because a carry-less multiplication takes several
// cycles to finish and a new one can begin in each. What is left takes four, two and one. Ragged
// ends are read through masks, which cannot fault, or overlap what was read before.
//
// Only static functions, and no includes but these: see crc_kernel.h.

#include "checksum/avx512_intrinsics.h"
#include "checksum/crc_kernel.h"
#include "checksum/fold_constants.h"

namespace ringbolt {

namespace {

alignas(64) constexpr uint8_t kIota[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

__m512i Load(const uint8_t* p) { return _mm512_loadu_si512(p); }

__m512i Constant(const uint64_t (&by)[2]) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(by)));
}

// Moves `value` forwards onto `next`.
__m512i Fold(__m512i value, __m512i by, __m512i next) {
  const __m512i low = _mm512_clmulepi64_epi128(value, by, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(value, by, 0x11);
  return _mm512_ternarylogic_epi64(low, high, next, 0x96);  // a ^ b ^ c
}

// Byte i of the result is byte (i + shift) mod 64 of `value`.
__m512i Rotate(__m512i value, size_t shift) {
  const __m512i from =
      _mm512_add_epi8(_mm512_load_si512(kIota), _mm512_set1_epi8(static_cast<char>(shift)));
  return _mm512_permutexvar_epi8(from, value);
}

// The last step: `bytes` < 64 more, which end at `end`; at least 64 were read before. What goes out
// of `value` at its front when that many bytes come in at its back is folded onto all the rest.
__m512i FoldTail(__m512i value, const uint8_t* end, size_t bytes, const FoldConstants& k) {
  if (bytes == 0) return value;
  const __m512i rotated = Rotate(value, bytes);
  const __mmask64 last = ~__mmask64{0} << (64 - bytes);
  const __m512i next = _mm512_mask_loadu_epi8(rotated, last, end - 64);
  return Fold(_mm512_maskz_mov_epi8(last, rotated), Constant(k.by512), next);
}

// `bytes` < 128, 256 and 512 more at p.
__m512i FoldOne(__m512i value, const uint8_t* p, size_t bytes, const FoldConstants& k) {
  if ((bytes & 64) != 0) value = Fold(value, Constant(k.by512), Load(p));
  return FoldTail(value, p + bytes, bytes % 64, k);
}

__m512i FoldTwo(__m512i a, __m512i b, const uint8_t* p, size_t bytes, const FoldConstants& k) {
  if ((bytes & 128) != 0) {
    const __m512i by1024 = Constant(k.by1024);
    a = Fold(a, by1024, Load(p));
    b = Fold(b, by1024, Load(p + 64));
    p += 128;
  }
  return FoldOne(Fold(a, Constant(k.by512), b), p, bytes % 128, k);
}

__m512i FoldFour(__m512i a, __m512i b, __m512i c, __m512i d, const uint8_t* p, size_t bytes,
                 const FoldConstants& k) {
  if ((bytes & 256) != 0) {
    const __m512i by2048 = Constant(k.by2048);
    a = Fold(a, by2048, Load(p));
    b = Fold(b, by2048, Load(p + 64));
    c = Fold(c, by2048, Load(p + 128));
    d = Fold(d, by2048, Load(p + 192));
    p += 256;
  }
  const __m512i by1024 = Constant(k.by1024);
  return FoldTwo(Fold(a, by1024, c), Fold(b, by1024, d), p, bytes % 256, k);
}

// At least 512 bytes. Prefetching was tried from 1 to 8 KiB ahead: no gain, and half the speed with
// the non-temporal hint.
__m512i FoldLarge(const uint8_t* p, size_t bytes, __m512i seed, const FoldConstants& k) {
  __m512i a[8];
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i) a[i] = Load(p + (64 * i));
  a[0] = _mm512_xor_si512(a[0], seed);
  const __m512i by4096 = Constant(k.by4096);
  for (p += 512, bytes -= 512; bytes >= 512; p += 512, bytes -= 512) {
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) a[i] = Fold(a[i], by4096, Load(p + (64 * i)));
  }
  const __m512i by2048 = Constant(k.by2048);
  return FoldFour(Fold(a[0], by2048, a[4]), Fold(a[1], by2048, a[5]), Fold(a[2], by2048, a[6]),
                  Fold(a[3], by2048, a[7]), p, bytes, k);
}

// All of the data, at least 64 bytes, as 64 bytes with the same remainder.
__m512i FoldAll(const uint8_t* p, size_t bytes, __m512i seed, const FoldConstants& k) {
  if (bytes >= 512) return FoldLarge(p, bytes, seed, k);
  const __m512i first = _mm512_xor_si512(Load(p), seed);
  if (bytes >= 256) {
    return FoldFour(first, Load(p + 64), Load(p + 128), Load(p + 192), p + 256, bytes - 256, k);
  }
  if (bytes >= 128) return FoldTwo(first, Load(p + 64), p + 128, bytes - 128, k);
  return FoldOne(first, p + 64, bytes - 64, k);
}

__m128i FoldLanes(__m512i value, const FoldConstants& k) {
  const __m512i lanes = _mm512_load_si512(k.lanes);
  const __m512i low = _mm512_clmulepi64_epi128(value, lanes, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(value, lanes, 0x11);
  const __m512i last = _mm512_maskz_mov_epi64(0xc0, value);
  const __m512i sum = _mm512_ternarylogic_epi64(low, high, last, 0x96);
  const __m256i half =
      _mm256_xor_si256(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
  return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

__m512i Seed(uint64_t seed) {
  return _mm512_zextsi128_si512(_mm_cvtsi64_si128(static_cast<int64_t>(seed)));
}

// CRC-32C -----------------------------------------------------------------------------------------

uint32_t Finish32(__m512i value) {
  const __m128i lane = FoldLanes(value, kCrc32cFold);
  const uint64_t crc = _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(lane)));
  const auto high = static_cast<uint64_t>(_mm_extract_epi64(lane, 1));
  return ~static_cast<uint32_t>(_mm_crc32_u64(crc, high));
}

// Few bytes cost less through the CRC instruction than the way through the wide registers does.
uint32_t SmallCrc32c(const uint8_t* p, size_t bytes, uint32_t seed) {
  uint64_t crc = ~seed;
  for (; bytes >= 8; p += 8, bytes -= 8) {
    uint64_t word;
    __builtin_memcpy(&word, p, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto state = static_cast<uint32_t>(crc);
  if ((bytes & 4) != 0) {
    uint32_t word;
    __builtin_memcpy(&word, p, 4);
    state = _mm_crc32_u32(state, word);
    p += 4;
  }
  if ((bytes & 2) != 0) {
    uint16_t word;
    __builtin_memcpy(&word, p, 2);
    state = _mm_crc32_u16(state, word);
    p += 2;
  }
  if ((bytes & 1) != 0) state = _mm_crc32_u8(state, *p);
  return ~state;
}

// Not inlined: a function that may spill wide registers aligns its stack first, also for 16 bytes.
[[gnu::noinline]] uint32_t LargeCrc32c(const uint8_t* p, size_t bytes, uint32_t seed) {
  return Finish32(FoldAll(p, bytes, Seed(~seed), kCrc32cFold));
}

uint32_t Crc32c(const void* data, size_t bytes, uint32_t seed) {
  const auto* p = static_cast<const uint8_t*>(data);
  return bytes < 64 ? SmallCrc32c(p, bytes, seed) : LargeCrc32c(p, bytes, seed);
}

// CRC-64/NVME -------------------------------------------------------------------------------------

// The remainder of a lane times x^64: one fold, then Barrett's reduction.
uint64_t Reduce64(__m128i lane) {
  const __m128i by64 = _mm_cvtsi64_si128(static_cast<int64_t>(kCrc64NvmeBy64));
  const __m128i barrett = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kCrc64NvmeBarrett));
  const __m128i folded =
      _mm_xor_si128(_mm_clmulepi64_si128(lane, by64, 0x00), _mm_srli_si128(lane, 8));
  const __m128i quotient = _mm_clmulepi64_si128(folded, barrett, 0x00);
  const __m128i product = _mm_clmulepi64_si128(quotient, barrett, 0x10);
  const __m128i low = _mm_xor_si128(folded, product);
  return static_cast<uint64_t>(_mm_extract_epi64(low, 1) ^ _mm_cvtsi128_si64(quotient));
}

// What is left of the seed when there are fewer bytes than it has.
uint64_t RestOfSeed(uint64_t seed, size_t bytes) { return bytes < 8 ? seed >> (8 * bytes) : 0; }

// Fewer than 64 bytes are moved to the end of a register: zeros before the data change nothing.
uint64_t SmallCrc64Nvme(const uint8_t* p, size_t bytes, uint64_t seed) {
  const uint64_t state = ~seed;
  __m128i lane;
  if (bytes <= 16) {
    const auto mask = static_cast<__mmask16>((1U << bytes) - 1);
    const __m128i value = _mm_xor_si128(_mm_maskz_loadu_epi8(mask, p),
                                        _mm_cvtsi64_si128(static_cast<int64_t>(state)));
    const __m128i from = _mm_add_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(kIota)),
                                      _mm_set1_epi8(static_cast<char>(bytes - 16)));
    // A negative index makes a zero; the mask drops what the seed has too much.
    lane = _mm_shuffle_epi8(_mm_maskz_mov_epi8(mask, value), from);
  } else {
    const __mmask64 mask = (__mmask64{1} << bytes) - 1;
    const __m512i value = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, p), Seed(state));
    lane = FoldLanes(Rotate(value, bytes), kCrc64NvmeFold);
  }
  return ~(Reduce64(lane) ^ RestOfSeed(state, bytes));
}

[[gnu::noinline]] uint64_t LargeCrc64Nvme(const uint8_t* p, size_t bytes, uint64_t seed) {
  return ~Reduce64(FoldLanes(FoldAll(p, bytes, Seed(~seed), kCrc64NvmeFold), kCrc64NvmeFold));
}

uint64_t Crc64Nvme(const void* data, size_t bytes, uint64_t seed) {
  const auto* p = static_cast<const uint8_t*>(data);
  return bytes < 64 ? SmallCrc64Nvme(p, bytes, seed) : LargeCrc64Nvme(p, bytes, seed);
}

// Many blocks -------------------------------------------------------------------------------------

// Eight blocks at once, one accumulator each: no block waits for its own multiplications, and none
// pays for joining accumulators. Larger blocks have work enough of their own.
constexpr size_t kLanesBlockBytesMax = 4096;

bool Interleaves(size_t block_bytes) {
  return block_bytes >= 64 && block_bytes % 64 == 0 && block_bytes <= kLanesBlockBytesMax;
}

// On entry a[i] is block i's seed.
void FoldEight(const uint8_t* p, size_t block_bytes, __m512i (&a)[8], const FoldConstants& k) {
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i) a[i] = _mm512_xor_si512(a[i], Load(p + (block_bytes * i)));
  const __m512i by512 = Constant(k.by512);
  for (size_t at = 64; at < block_bytes; at += 64) {
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) a[i] = Fold(a[i], by512, Load(p + at + (block_bytes * i)));
  }
}

void BlockCrc32c(const void* data, size_t block_bytes, size_t blocks, uint32_t* crcs) {
  const auto* p = static_cast<const uint8_t*>(data);
  if (Interleaves(block_bytes)) {
    for (; blocks >= 8; p += 8 * block_bytes, crcs += 8, blocks -= 8) {
      __m512i a[8];
#pragma GCC unroll 8
      for (size_t i = 0; i < 8; ++i) a[i] = Seed(~crcs[i]);
      FoldEight(p, block_bytes, a, kCrc32cFold);
#pragma GCC unroll 8
      for (size_t i = 0; i < 8; ++i) crcs[i] = Finish32(a[i]);
    }
  }
  for (; blocks > 0; p += block_bytes, ++crcs, --blocks) *crcs = Crc32c(p, block_bytes, *crcs);
}

void BlockCrc64Nvme(const void* data, size_t block_bytes, size_t blocks, uint64_t* crcs) {
  const auto* p = static_cast<const uint8_t*>(data);
  if (Interleaves(block_bytes)) {
    for (; blocks >= 8; p += 8 * block_bytes, crcs += 8, blocks -= 8) {
      __m512i a[8];
#pragma GCC unroll 8
      for (size_t i = 0; i < 8; ++i) a[i] = Seed(~crcs[i]);
      FoldEight(p, block_bytes, a, kCrc64NvmeFold);
#pragma GCC unroll 8
      for (size_t i = 0; i < 8; ++i) crcs[i] = ~Reduce64(FoldLanes(a[i], kCrc64NvmeFold));
    }
  }
  for (; blocks > 0; p += block_bytes, ++crcs, --blocks) *crcs = Crc64Nvme(p, block_bytes, *crcs);
}

}  // namespace

const CrcKernel kCrcAvx512 = {Crc32c, Crc64Nvme, BlockCrc32c, BlockCrc64Nvme};

}  // namespace ringbolt
