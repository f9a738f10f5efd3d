// CRCs with SSE4.2 and PCLMULQDQ: what crc_avx512.cc does, 16 bytes a step. The reasons are there.
//
// Only static functions, and no includes but these: see crc_kernel.h.

#include <nmmintrin.h>
#include <wmmintrin.h>

#include "checksum/crc_kernel.h"
#include "checksum/fold_constants.h"

namespace ringbolt {

namespace {

__m128i Load(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

uint64_t Word(const uint8_t* p) {
  uint64_t word;
  __builtin_memcpy(&word, p, 8);
  return word;
}

uint64_t LowHalf(__m128i lane) { return static_cast<uint64_t>(_mm_cvtsi128_si64(lane)); }

uint64_t HighHalf(__m128i lane) { return static_cast<uint64_t>(_mm_extract_epi64(lane, 1)); }

__m128i Lane(uint64_t low, uint64_t high) {
  return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
}

// Moves `value` forwards onto `next`.
__m128i Fold(__m128i value, __m128i by, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(value, by, 0x00);
  const __m128i high = _mm_clmulepi64_si128(value, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, next), high);
}

// 16 bytes read at kShifts + n: byte indices n to n + 15, those above 15 with their top bit set.
alignas(16) constexpr uint8_t kShifts[32] = {
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f};

// The last step: `bytes` < 16 more, which end at `end`; at least 16 were read before.
__m128i FoldTail(__m128i value, const uint8_t* end, size_t bytes, const FoldConstants& k) {
  if (bytes == 0) return value;
  const __m128i indices = Load(kShifts + bytes);
  const __m128i next = _mm_blendv_epi8(_mm_shuffle_epi8(value, indices), Load(end - 16), indices);
  // Flipping the top bit of every index swaps what is kept with what is cleared.
  const __m128i flip = _mm_set1_epi8(static_cast<char>(0x80));
  const __m128i out = _mm_shuffle_epi8(value, _mm_xor_si128(indices, flip));
  return Fold(out, Load(k.by128), next);
}

// `bytes` < 32, 64 and 128 more at p.
__m128i FoldOne(__m128i value, const uint8_t* p, size_t bytes, const FoldConstants& k) {
  if ((bytes & 16) != 0) value = Fold(value, Load(k.by128), Load(p));
  return FoldTail(value, p + bytes, bytes % 16, k);
}

__m128i FoldTwo(__m128i a, __m128i b, const uint8_t* p, size_t bytes, const FoldConstants& k) {
  if ((bytes & 32) != 0) {
    const __m128i by256 = Load(k.by256);
    a = Fold(a, by256, Load(p));
    b = Fold(b, by256, Load(p + 16));
    p += 32;
  }
  return FoldOne(Fold(a, Load(k.by128), b), p, bytes % 32, k);
}

__m128i FoldFour(__m128i a, __m128i b, __m128i c, __m128i d, const uint8_t* p, size_t bytes,
                 const FoldConstants& k) {
  if ((bytes & 64) != 0) {
    const __m128i by512 = Load(k.by512);
    a = Fold(a, by512, Load(p));
    b = Fold(b, by512, Load(p + 16));
    c = Fold(c, by512, Load(p + 32));
    d = Fold(d, by512, Load(p + 48));
    p += 64;
  }
  const __m128i by256 = Load(k.by256);
  return FoldTwo(Fold(a, by256, c), Fold(b, by256, d), p, bytes % 64, k);
}

constexpr size_t kPrefetchBytes = 4096;

// At least 128 bytes.
__m128i FoldLarge(const uint8_t* p, size_t bytes, __m128i seed, const FoldConstants& k) {
  __m128i a[8];
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i) a[i] = Load(p + (16 * i));
  a[0] = _mm_xor_si128(a[0], seed);
  const __m128i by1024 = Load(k.by1024);
  for (p += 128, bytes -= 128; bytes >= 128; p += 128, bytes -= 128) {
    // Pays here (8.6 to 10 GB/s from memory), because 16 bytes a step fill the reorder buffer
    // before they reach far ahead; not in crc_avx512.cc. A prefetch beyond the end does not fault.
    _mm_prefetch(reinterpret_cast<const char*>(p) + kPrefetchBytes, _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(p) + kPrefetchBytes + 64, _MM_HINT_T0);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) a[i] = Fold(a[i], by1024, Load(p + (16 * i)));
  }
  const __m128i by512 = Load(k.by512);
  return FoldFour(Fold(a[0], by512, a[4]), Fold(a[1], by512, a[5]), Fold(a[2], by512, a[6]),
                  Fold(a[3], by512, a[7]), p, bytes, k);
}

// All of the data, at least 16 bytes, as 16 bytes with the same remainder.
__m128i FoldAll(const uint8_t* p, size_t bytes, uint64_t seed_bits, const FoldConstants& k) {
  const __m128i seed = _mm_cvtsi64_si128(static_cast<int64_t>(seed_bits));
  if (bytes >= 128) return FoldLarge(p, bytes, seed, k);
  const __m128i first = _mm_xor_si128(Load(p), seed);
  if (bytes >= 64) {
    return FoldFour(first, Load(p + 16), Load(p + 32), Load(p + 48), p + 64, bytes - 64, k);
  }
  if (bytes >= 32) return FoldTwo(first, Load(p + 16), p + 32, bytes - 32, k);
  return FoldOne(first, p + 16, bytes - 16, k);
}

// CRC-32C -----------------------------------------------------------------------------------------

uint32_t Finish32(__m128i lane) {
  return ~static_cast<uint32_t>(_mm_crc32_u64(_mm_crc32_u64(0, LowHalf(lane)), HighHalf(lane)));
}

uint32_t SmallCrc32c(const uint8_t* p, size_t bytes, uint32_t seed) {
  uint64_t crc = ~seed;
  for (; bytes >= 8; p += 8, bytes -= 8) crc = _mm_crc32_u64(crc, Word(p));
  auto state = static_cast<uint32_t>(crc);
  for (; bytes > 0; ++p, --bytes) state = _mm_crc32_u8(state, *p);
  return ~state;
}

// Folding and the CRC instruction use different units of the processor, so both go on at once, on
// different parts of the data; and three streams hide the instruction's latency:
//
//   | to fold: 4 lanes a step | stream 0: 5 words a step | stream 1 | stream 2 |
//
// That is 23 words in the time of 8 that are folded, or of 5 that go one by one.
constexpr size_t kFoldedBytes = size_t{kCrc32cRoundSteps} * kCrc32cRoundLanes * 16;
constexpr size_t kStreamBytes = size_t{kCrc32cRoundSteps} * kCrc32cRoundWords * 8;
constexpr size_t kRoundBytes = kFoldedBytes + (3 * kStreamBytes);

// The product of a CRC and what moves it forwards, as a word of data.
__m128i Moved(uint64_t crc, uint64_t by) {
  return _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(crc)),
                              _mm_cvtsi64_si128(static_cast<int64_t>(by)), 0x00);
}

// The state after a round. It comes in at the end only, so that rounds overlap.
uint64_t Round(const uint8_t* p, uint64_t state) {
  static_assert(kCrc32cRoundLanes == 4);
  const FoldConstants& k = kCrc32cFold;
  const uint8_t* stream = p + kFoldedBytes;
  __m128i lane[4] = {Load(p), Load(p + 16), Load(p + 32), Load(p + 48)};
  const __m128i by512 = Load(k.by512);
  uint64_t crc[3] = {0, 0, 0};
  for (uint32_t step = 1;; ++step) {
    _mm_prefetch(reinterpret_cast<const char*>(p) + kPrefetchBytes, _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(stream) + kPrefetchBytes, _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(stream) + kStreamBytes + kPrefetchBytes,
                 _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(stream) + (2 * kStreamBytes) + kPrefetchBytes,
                 _MM_HINT_T0);
#pragma GCC unroll 8
    for (size_t word = 0; word < kCrc32cRoundWords; ++word, stream += 8) {
      crc[0] = _mm_crc32_u64(crc[0], Word(stream));
      crc[1] = _mm_crc32_u64(crc[1], Word(stream + kStreamBytes));
      crc[2] = _mm_crc32_u64(crc[2], Word(stream + (2 * kStreamBytes)));
    }
    if (step == kCrc32cRoundSteps) break;
    p += 64;
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) lane[i] = Fold(lane[i], by512, Load(p + (16 * i)));
  }
  const __m128i last =
      Fold(lane[0], Load(k.lanes),
           Fold(lane[1], Load(k.lanes + 2), Fold(lane[2], Load(k.lanes + 4), lane[3])));
  const uint64_t folded = _mm_crc32_u64(_mm_crc32_u64(0, LowHalf(last)), HighHalf(last));
  const __m128i before =
      _mm_xor_si128(_mm_xor_si128(Moved(folded, kCrc32cByThree), Moved(crc[0], kCrc32cByTwo)),
                    Moved(crc[1], kCrc32cByOne));
  const __m128i all = _mm_xor_si128(before, Moved(state, kCrc32cByRound));
  return _mm_crc32_u64(0, LowHalf(all)) ^ crc[2];
}

uint32_t Crc32c(const void* data, size_t bytes, uint32_t seed) {
  const auto* p = static_cast<const uint8_t*>(data);
  uint64_t state = ~seed;
  for (; bytes >= kRoundBytes; p += kRoundBytes, bytes -= kRoundBytes) state = Round(p, state);
  if (bytes < 64) return SmallCrc32c(p, bytes, ~static_cast<uint32_t>(state));
  return Finish32(FoldAll(p, bytes, state, kCrc32cFold));
}

// CRC-64/NVME -------------------------------------------------------------------------------------

// The remainder of a lane times x^64: one fold, then Barrett's reduction.
uint64_t Reduce64(__m128i lane) {
  const __m128i by64 = _mm_cvtsi64_si128(static_cast<int64_t>(kCrc64NvmeBy64));
  const __m128i barrett = Load(kCrc64NvmeBarrett);
  const __m128i folded =
      _mm_xor_si128(_mm_clmulepi64_si128(lane, by64, 0x00), _mm_srli_si128(lane, 8));
  const __m128i quotient = _mm_clmulepi64_si128(folded, barrett, 0x00);
  const __m128i product = _mm_clmulepi64_si128(quotient, barrett, 0x10);
  return HighHalf(_mm_xor_si128(folded, product)) ^ LowHalf(quotient);
}

// Fewer than 8 bytes as a number.
uint64_t PartialWord(const uint8_t* p, size_t bytes) {
  uint64_t word = 0;
  for (size_t i = 0; i < bytes; ++i) word |= uint64_t{p[i]} << (8 * i);
  return word;
}

// Fewer than 16 bytes are moved to the end of a lane: zeros before the data change nothing. From 8
// bytes on they are two words that overlap.
uint64_t SmallCrc64Nvme(const uint8_t* p, size_t bytes, uint64_t seed) {
  const uint64_t state = ~seed;
  if (bytes == 0) return seed;
  if (bytes < 8) {
    const uint64_t high = (PartialWord(p, bytes) ^ state) << (64 - (8 * bytes));
    return ~(Reduce64(Lane(0, high)) ^ (state >> (8 * bytes)));
  }
  if (bytes == 8) return ~Reduce64(Lane(0, Word(p) ^ state));
  const uint64_t low = (Word(p) ^ state) << (8 * (16 - bytes));
  const uint64_t high = Word(p + bytes - 8) ^ (state >> (8 * (bytes - 8)));
  return ~Reduce64(Lane(low, high));
}

uint64_t Crc64Nvme(const void* data, size_t bytes, uint64_t seed) {
  const auto* p = static_cast<const uint8_t*>(data);
  if (bytes < 16) return SmallCrc64Nvme(p, bytes, seed);
  return ~Reduce64(FoldAll(p, bytes, ~seed, kCrc64NvmeFold));
}

// Many blocks: the processor overlaps the end of one with the beginning of the next by itself
// ------

void BlockCrc32c(const void* data, size_t block_bytes, size_t blocks, uint32_t* crcs) {
  const auto* p = static_cast<const uint8_t*>(data);
  for (; blocks > 0; p += block_bytes, ++crcs, --blocks) *crcs = Crc32c(p, block_bytes, *crcs);
}

void BlockCrc64Nvme(const void* data, size_t block_bytes, size_t blocks, uint64_t* crcs) {
  const auto* p = static_cast<const uint8_t*>(data);
  for (; blocks > 0; p += block_bytes, ++crcs, --blocks) *crcs = Crc64Nvme(p, block_bytes, *crcs);
}

}  // namespace

const CrcKernel kCrcSse42 = {Crc32c, Crc64Nvme, BlockCrc32c, BlockCrc64Nvme};

}  // namespace ringbolt
