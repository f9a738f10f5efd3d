// Looks for an input on which a kernel, or what is built from kernels, disagrees with the reference
// or touches a byte that is not its own (built with AddressSanitizer). The first bytes of an input
// choose alignment, seed, split and block size; the rest is the data.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "checksum/checksum.h"
#include "checksum/dispatch.h"
#include "checksum/reference.h"

namespace ringbolt {

namespace {

using test::Reference;

struct Shape {
  uint8_t alignment;
  uint8_t block_bytes_over_8;
  uint16_t split;
  uint64_t seed;
};

// Exactly as large as its contents, which begin at the alignment: one byte beyond is seen.
struct Area {
  Area(size_t alignment, size_t size)
      : whole(new uint8_t[alignment + size]), data(whole + alignment) {}
  ~Area() { delete[] whole; }
  Area(const Area&) = delete;
  Area& operator=(const Area&) = delete;
  uint8_t* const whole;
  uint8_t* const data;
};

void Require(bool agrees, const char* what, const char* kernel, size_t bytes) {
  if (agrees) return;
  std::fprintf(stderr, "%s, kernel %s, %zu bytes\n", what, kernel, bytes);
  std::abort();
}

template <typename Crc>
void CheckKernel(const char* name, Crc (*update)(const void*, size_t, Crc),
                 void (*block)(const void*, size_t, size_t, Crc*), const uint8_t* data,
                 size_t bytes, const Shape& shape) {
  const Crc seed = static_cast<Crc>(shape.seed);
  const Crc expected = Reference<Crc>::ByTable(data, bytes, seed);
  Require(update(data, bytes, seed) == expected, "whole", name, bytes);

  const size_t split = shape.split % (bytes + 1);
  const Crc first = update(data, split, seed);
  Require(update(data + split, bytes - split, first) == expected, "split", name, bytes);

  const size_t block_bytes = size_t{shape.block_bytes_over_8} * 8;
  if (block_bytes == 0) return;
  std::vector<Crc> crcs(bytes / block_bytes);
  for (size_t i = 0; i < crcs.size(); ++i) crcs[i] = static_cast<Crc>(shape.seed + i);
  block(data, block_bytes, crcs.size(), crcs.data());
  for (size_t i = 0; i < crcs.size(); ++i) {
    const Crc one = Reference<Crc>::ByTable(data + (i * block_bytes), block_bytes,
                                            static_cast<Crc>(shape.seed + i));
    Require(crcs[i] == one, "block", name, block_bytes);
  }
}

template <typename Crc>
void CheckCopyAndCombine(Crc (*copy)(void*, const void*, size_t, Crc),
                         Crc (*combine)(Crc, Crc, uint64_t), const uint8_t* data, size_t bytes,
                         const Shape& shape) {
  const Area target(shape.alignment / 2, bytes);
  const Crc whole = copy(target.data, data, bytes, 0);
  Require(whole == Reference<Crc>::ByTable(data, bytes), "copy", "chosen", bytes);
  Require(bytes == 0 || std::memcmp(target.data, data, bytes) == 0, "copied", "chosen", bytes);

  const size_t split = shape.split % (bytes + 1);
  const Crc a = Reference<Crc>::ByTable(data, split);
  const Crc b = Reference<Crc>::ByTable(data + split, bytes - split);
  Require(combine(a, b, bytes - split) == whole, "combine", "none", bytes);
}

// Two parts, then pieces of the block size, through one state.
void CheckParts(const KernelInfo<Xxh3Kernel>& info, const uint8_t* data, size_t bytes,
                const Shape& shape) {
  const Xxh3Kernel& kernel = *info.kernel;
  const uint64_t expected = kXxh3Baseline.hash(data, bytes, shape.seed);
  const size_t split = shape.split % (bytes + 1);
  Xxh3State state{};
  state.seed = shape.seed;
  kernel.update(&state, data, split);
  Require(kernel.digest(&state) == kXxh3Baseline.hash(data, split, shape.seed), "xxh3 first part",
          info.name, split);
  kernel.update(&state, data + split, bytes - split);
  Require(kernel.digest(&state) == expected, "xxh3 parts", info.name, bytes);

  const size_t piece = size_t{shape.block_bytes_over_8} + 1;
  state.bytes_total = 0;  // begins anew
  for (size_t at = 0; at < bytes; at += piece) {
    kernel.update(&state, data + at, std::min(piece, bytes - at));
  }
  Require(kernel.digest(&state) == expected, "xxh3 pieces", info.name, bytes);
}

// The input as a state, which may be anything, and what is left of it as data.
void CheckForgedState(const KernelInfo<Xxh3Kernel>& info, const uint8_t* data, size_t bytes) {
  Xxh3State state;
  if (bytes < sizeof(state)) return;
  std::memcpy(&state, data, sizeof(state));
  const uint64_t before = info.kernel->digest(&state);
  info.kernel->update(&state, data + sizeof(state), bytes - sizeof(state));
  const uint64_t after = info.kernel->digest(&state);
  Require(before == after || bytes > sizeof(state), "xxh3 forged", info.name, bytes);
}

void Check(const uint8_t* input, size_t size) {
  Shape shape;
  if (size < sizeof(shape)) return;
  std::memcpy(&shape, input, sizeof(shape));
  shape.alignment %= 64;
  const size_t bytes = size - sizeof(shape);
  const Area area(shape.alignment, bytes);
  if (bytes > 0) std::memcpy(area.data, input + sizeof(shape), bytes);

  for (const auto& info : CrcKernels()) {
    if (info.why_not != nullptr) continue;
    const CrcKernel& kernel = *info.kernel;
    CheckKernel(info.name, kernel.crc32c, kernel.block_crc32c, area.data, bytes, shape);
    CheckKernel(info.name, kernel.crc64nvme, kernel.block_crc64nvme, area.data, bytes, shape);
  }
  CheckCopyAndCombine(CopyCrc32c, Crc32cCombine, area.data, bytes, shape);
  CheckCopyAndCombine(CopyCrc64Nvme, Crc64NvmeCombine, area.data, bytes, shape);
  for (const auto& info : Xxh3Kernels()) {
    if (info.why_not != nullptr) continue;
    Require(info.kernel->hash(area.data, bytes, shape.seed) ==
                kXxh3Baseline.hash(area.data, bytes, shape.seed),
            "xxh3", info.name, bytes);
    CheckParts(info, area.data, bytes, shape);
    CheckForgedState(info, area.data, bytes);
  }
}

}  // namespace

}  // namespace ringbolt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringbolt::Check(data, size);
  return 0;
}
