// CRCs with ARMv8's CRC and PMULL instructions: what crc_sse42.cc does, with the same steps under
// this architecture's names. The reasons are there.
//
// Only static functions, and no includes but these: see crc_kernel.h.

#include <arm_acle.h>
#include <arm_neon.h>

#include "checksum/crc_kernel.h"
#include "checksum/fold_constants.h"

namespace ringbolt {

namespace {

uint64x2_t Load(const uint8_t* p) { return vreinterpretq_u64_u8(vld1q_u8(p)); }

uint64_t Word(const uint8_t* p) {
  uint64_t word;
  __builtin_memcpy(&word, p, 8);
  return word;
}

uint64_t LowHalf(uint64x2_t lane) { return vgetq_lane_u64(lane, 0); }

uint64_t HighHalf(uint64x2_t lane) { return vgetq_lane_u64(lane, 1); }

uint64x2_t Lane(uint64_t low, uint64_t high) {
  return vcombine_u64(vcreate_u64(low), vcreate_u64(high));
}

// Carry-less products of two words, and of two high halves.
uint64x2_t MultiplyWords(uint64_t a, uint64_t b) { return vreinterpretq_u64_p128(vmull_p64(a, b)); }

uint64x2_t MultiplyHigh(uint64x2_t a, uint64x2_t b) {
  return vreinterpretq_u64_p128(vmull_high_p64(vreinterpretq_p64_u64(a), vreinterpretq_p64_u64(b)));
}

// Moves `value` forwards onto `next`.
uint64x2_t Fold(uint64x2_t value, uint64x2_t by, uint64x2_t next) {
  const uint64x2_t low = MultiplyWords(LowHalf(value), LowHalf(by));
  return veorq_u64(veorq_u64(low, next), MultiplyHigh(value, by));
}

// 16 bytes read at kShifts + n: byte indices n to n + 15, those above 15 with their top bit set.
alignas(16) constexpr uint8_t kShifts[32] = {
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f};

// The last step: `bytes` < 16 more, which end at `end`; at least 16 were read before.
uint64x2_t FoldTail(uint64x2_t value, const uint8_t* end, size_t bytes, const FoldConstants& k) {
  if (bytes == 0) return value;
  const uint8x16_t indices = vld1q_u8(kShifts + bytes);
  const uint8x16_t source = vreinterpretq_u8_u64(value);
  // A lookup leaves what its index is too large for: as it was, or zero.
  const uint8x16_t next = vqtbx1q_u8(vld1q_u8(end - 16), source, indices);
  const uint8x16_t out = vqtbl1q_u8(source, veorq_u8(indices, vdupq_n_u8(0x80)));
  return Fold(vreinterpretq_u64_u8(out), vld1q_u64(k.by128), vreinterpretq_u64_u8(next));
}

// `bytes` < 32, 64 and 128 more at p.
uint64x2_t FoldOne(uint64x2_t value, const uint8_t* p, size_t bytes, const FoldConstants& k) {
  if ((bytes & 16) != 0) value = Fold(value, vld1q_u64(k.by128), Load(p));
  return FoldTail(value, p + bytes, bytes % 16, k);
}

uint64x2_t FoldTwo(uint64x2_t a, uint64x2_t b, const uint8_t* p, size_t bytes,
                   const FoldConstants& k) {
  if ((bytes & 32) != 0) {
    const uint64x2_t by256 = vld1q_u64(k.by256);
    a = Fold(a, by256, Load(p));
    b = Fold(b, by256, Load(p + 16));
    p += 32;
  }
  return FoldOne(Fold(a, vld1q_u64(k.by128), b), p, bytes % 32, k);
}

uint64x2_t FoldFour(uint64x2_t a, uint64x2_t b, uint64x2_t c, uint64x2_t d, const uint8_t* p,
                    size_t bytes, const FoldConstants& k) {
  if ((bytes & 64) != 0) {
    const uint64x2_t by512 = vld1q_u64(k.by512);
    a = Fold(a, by512, Load(p));
    b = Fold(b, by512, Load(p + 16));
    c = Fold(c, by512, Load(p + 32));
    d = Fold(d, by512, Load(p + 48));
    p += 64;
  }
  const uint64x2_t by256 = vld1q_u64(k.by256);
  return FoldTwo(Fold(a, by256, c), Fold(b, by256, d), p, bytes % 64, k);
}

// At least 128 bytes.
uint64x2_t FoldLarge(const uint8_t* p, size_t bytes, uint64x2_t seed, const FoldConstants& k) {
  uint64x2_t a[8];
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i) a[i] = Load(p + (16 * i));
  a[0] = veorq_u64(a[0], seed);
  const uint64x2_t by1024 = vld1q_u64(k.by1024);
  for (p += 128, bytes -= 128; bytes >= 128; p += 128, bytes -= 128) {
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) a[i] = Fold(a[i], by1024, Load(p + (16 * i)));
  }
  const uint64x2_t by512 = vld1q_u64(k.by512);
  return FoldFour(Fold(a[0], by512, a[4]), Fold(a[1], by512, a[5]), Fold(a[2], by512, a[6]),
                  Fold(a[3], by512, a[7]), p, bytes, k);
}

// All of the data, at least 16 bytes, as 16 bytes with the same remainder.
uint64x2_t FoldAll(const uint8_t* p, size_t bytes, uint64_t seed_bits, const FoldConstants& k) {
  const uint64x2_t seed = Lane(seed_bits, 0);
  if (bytes >= 128) return FoldLarge(p, bytes, seed, k);
  const uint64x2_t first = veorq_u64(Load(p), seed);
  if (bytes >= 64) {
    return FoldFour(first, Load(p + 16), Load(p + 32), Load(p + 48), p + 64, bytes - 64, k);
  }
  if (bytes >= 32) return FoldTwo(first, Load(p + 16), p + 32, bytes - 32, k);
  return FoldOne(first, p + 16, bytes - 16, k);
}

// CRC-32C -----------------------------------------------------------------------------------------

uint32_t Finish32(uint64x2_t lane) {
  return ~__crc32cd(__crc32cd(0, LowHalf(lane)), HighHalf(lane));
}

uint32_t SmallCrc32c(const uint8_t* p, size_t bytes, uint32_t seed) {
  uint32_t state = ~seed;
  for (; bytes >= 8; p += 8, bytes -= 8) state = __crc32cd(state, Word(p));
  for (; bytes > 0; ++p, --bytes) state = __crc32cb(state, *p);
  return ~state;
}

uint32_t Crc32c(const void* data, size_t bytes, uint32_t seed) {
  const auto* p = static_cast<const uint8_t*>(data);
  if (bytes < 64) return SmallCrc32c(p, bytes, seed);
  return Finish32(FoldAll(p, bytes, ~seed, kCrc32cFold));
}

// CRC-64/NVME -------------------------------------------------------------------------------------

// The remainder of a lane times x^64: one fold, then Barrett's reduction.
uint64_t Reduce64(uint64x2_t lane) {
  const uint64x2_t folded =
      veorq_u64(MultiplyWords(LowHalf(lane), kCrc64NvmeBy64), Lane(HighHalf(lane), 0));
  const uint64_t quotient = LowHalf(MultiplyWords(LowHalf(folded), kCrc64NvmeBarrett[0]));
  const uint64x2_t product = MultiplyWords(quotient, kCrc64NvmeBarrett[1]);
  return HighHalf(veorq_u64(folded, product)) ^ quotient;
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

const CrcKernel kCrcArmv8 = {Crc32c, Crc64Nvme, BlockCrc32c, BlockCrc64Nvme};

}  // namespace ringbolt
