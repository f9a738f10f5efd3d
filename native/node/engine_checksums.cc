// The part of `Engine` that has to do with checksums: between the arrays of JavaScript, whose
// memory is looked at only in here and for as long as a call takes, and the areas of a queue, which
// its thread reads and writes.
//
// Called for every operation with checksums.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "engine/block_checksums.h"
#include "engine/checksum_areas.h"
#include "engine/op_slot.h"
#include "node/convert.h"
#include "node/engine_wrap.h"
#include "node/hot_call.h"

namespace ringbolt {

namespace {

// Null is not there; anything else must be an array that holds `count` values from `first` on.
template <typename T>
bool ReadPart(napi_env env, napi_value value, napi_typedarray_type type, uint64_t first,
              uint64_t count, std::span<T>* part) {
  napi_valuetype kind{};
  if (napi_typeof(env, value, &kind) != napi_ok) return false;
  if (kind == napi_null) return true;
  const std::span<T> array = ReadArray<T>(env, value, type);
  if (first > array.size() || count > array.size() - first) return false;
  *part = array.subspan(first, count);
  return true;
}

// The words around `count` bits from bit `first` on; `first` becomes a bit of the first of them.
bool ReadBits(napi_env env, napi_value value, uint32_t* first, uint32_t count,
              std::span<uint32_t>* words) {
  const uint64_t end = (uint64_t{*first} + count + 31) / 32;
  const uint32_t word = *first / 32;
  *first %= 32;
  return ReadPart(env, value, napi_uint32_array, word, end - word, words);
}

// Memory that somebody wrote into the pool through an old view may be the very slab it is copied
// to: then there is nothing to be had in one pass.
uint64_t CopyBlock(ChecksumAlgorithm algorithm, uint8_t* to, const uint8_t* from, size_t bytes,
                   uint64_t seed) {
  if (from < to + bytes && to < from + bytes) {
    std::memmove(to, from, bytes);
    return Checksum(algorithm, to, bytes, seed);
  }
  return CopyChecksum(algorithm, to, from, bytes, seed);
}

}  // namespace

ChecksumAreas* EngineWrap::AreasOf(uint32_t queue) const {
  if (host_ == nullptr || pool_ == nullptr) return nullptr;
  Queue* const found = host_->queue(queue);
  return found == nullptr ? nullptr : &found->checksum_areas();
}

// prepareChecksums(queue): 0, or an errno. Before the first operation with checksums.
napi_value EngineWrap::PrepareChecksums(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<1>(env, info);
  if (call.self == nullptr) return nullptr;
  ChecksumAreas* areas = call.self->AreasOf(ReadIndex(env, call.arguments[0]));
  return areas == nullptr ? nullptr : Number(env, areas->Prepare());
}

// putExpected(queue, place, expected, first, count): false if not all of it is there.
napi_value EngineWrap::PutExpected(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<5>(env, info);
  if (call.self == nullptr) return nullptr;
  const auto& [queue, place, expected, first, count] = call.arguments;
  ChecksumAreas* areas = call.self->AreasOf(ReadIndex(env, queue));
  ChecksumArea* area = areas == nullptr ? nullptr : areas->At(ReadIndex(env, place));
  const uint32_t blocks = ReadIndex(env, count);
  std::span<uint64_t> values;
  const bool good =
      area != nullptr && blocks <= kMaxChecksumBlocks &&
      ReadPart(env, expected, napi_biguint64_array, ReadIndex(env, first), blocks, &values);
  if (good) ChecksumAreas::Put(area, values);
  return Truth(env, good);
}

// takeChecksums(queue, place, count, first, out | null, mismatches | null): the number of
// mismatches, or -1 if one of the arrays has no room from `first` on.
napi_value EngineWrap::TakeChecksums(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<6>(env, info);
  if (call.self == nullptr) return nullptr;
  const auto& [queue, place, count, first, out, mismatches] = call.arguments;
  ChecksumAreas* areas = call.self->AreasOf(ReadIndex(env, queue));
  const ChecksumArea* area = areas == nullptr ? nullptr : areas->At(ReadIndex(env, place));
  const uint32_t blocks = ReadIndex(env, count);
  uint32_t at = ReadIndex(env, first);
  std::span<uint64_t> values;
  std::span<uint32_t> words;
  if (area == nullptr || blocks > kMaxChecksumBlocks ||
      !ReadPart(env, out, napi_biguint64_array, at, blocks, &values) ||
      !ReadBits(env, mismatches, &at, blocks, &words)) {
    return Number(env, -1);
  }
  ChecksumAreas::Take(*area, values);
  return Number(env, words.empty() ? 0 : ChecksumAreas::TakeMismatches(*area, blocks, at, words));
}

// copyChecksummed(unit, source, start, length, flags, blockBytes, seedLow, seedHigh, blockNumber,
//                 first, expected | null, out | null, mismatches | null):
// copies a part of `source` to the beginning of a slab, and does to its blocks what a queue does.
// The number of mismatches, or -1 if any argument does not go with the others.
napi_value EngineWrap::CopyChecksummed(napi_env env, napi_callback_info info) {
  const auto call = ReadCall<13>(env, info);
  if (call.self == nullptr) return nullptr;
  const auto& a = call.arguments;
  const uint32_t length = ReadIndex(env, a[3]);
  const uint32_t flags = ReadIndex(env, a[4]);
  const double number = ReadNumber(env, a[8]);
  uint32_t first = ReadIndex(env, a[9]);
  BlockFormula formula;
  formula.algorithm =
      static_cast<ChecksumAlgorithm>((flags >> kFlagAlgorithmShift) & kFlagAlgorithmMask);
  formula.numbered = (flags & kFlagNumbered) != 0;
  formula.block_bytes = ReadIndex(env, a[5]);
  formula.seed = (uint64_t{ReadIndex(env, a[7])} << 32) | ReadIndex(env, a[6]);
  const bool countable = number >= 0 && number <= kMaxSafeInteger;
  if (countable) formula.first_block = static_cast<uint64_t>(number);

  std::span<uint8_t> source;
  if (flags > UINT16_MAX || !countable || call.self->pool_ == nullptr ||
      CheckFormula(formula, length) != 0 ||
      !ReadPart(env, a[1], napi_uint8_array, ReadIndex(env, a[2]), length, &source) ||
      source.size() != length) {
    return Number(env, -1);
  }
  uint8_t* slab = call.self->pool_->Resolve(ReadIndex(env, a[0]), 0, length);
  const auto blocks = static_cast<uint32_t>(CountBlocks(formula, length));
  std::span<uint64_t> expected;
  std::span<uint64_t> out;
  std::span<uint32_t> words;
  if (slab == nullptr || !ReadPart(env, a[10], napi_biguint64_array, first, blocks, &expected) ||
      !ReadPart(env, a[11], napi_biguint64_array, first, blocks, &out) ||
      !ReadBits(env, a[12], &first, blocks, &words)) {
    return Number(env, -1);
  }

  uint32_t mismatches = 0;
  for (uint32_t block = 0; block < blocks; ++block) {
    const uint32_t at = block * formula.block_bytes;
    const uint32_t bytes = std::min(formula.block_bytes, length - at);
    const uint64_t value = CopyBlock(formula.algorithm, slab + at, source.data() + at, bytes,
                                     BlockSeed(formula, block));
    const bool mismatch = !expected.empty() && expected[block] != value;
    mismatches += mismatch ? 1 : 0;
    if (!out.empty()) out[block] = value;
    if (!words.empty()) PutBit(words, first + block, mismatch);
  }
  return Number(env, mismatches);
}

}  // namespace ringbolt
