#include "checksum/checksum.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "checksum/dispatch.h"

namespace ringbolt {

namespace {

// Copies piece by piece and computes over a piece while the nearest cache still holds it. A loop
// that does both at once was no faster, and would be one more for each instruction set; memcpy
// knows the machine's best way to write, and this leaves it to it.
constexpr size_t kCopyPieceBytes = 8192;

template <typename Crc>
Crc Copy(void* to, const void* from, size_t bytes, Crc crc,
         Crc (*update)(const void* data, size_t bytes, Crc seed)) {
  auto* target = static_cast<uint8_t*>(to);
  const auto* source = static_cast<const uint8_t*>(from);
  while (bytes > 0) {
    const size_t piece = std::min(bytes, kCopyPieceBytes);
    std::memcpy(target, source, piece);
    // Over the copy: what is checked is what was written, whatever happens to the source meanwhile.
    crc = update(target, piece, crc);
    target += piece;
    source += piece;
    bytes -= piece;
  }
  return crc;
}

}  // namespace

uint32_t Crc32c(const void* data, size_t bytes, uint32_t seed) {
  return ChosenCrcKernel().kernel->crc32c(data, bytes, seed);
}

uint64_t Crc64Nvme(const void* data, size_t bytes, uint64_t seed) {
  return ChosenCrcKernel().kernel->crc64nvme(data, bytes, seed);
}

uint32_t CopyCrc32c(void* to, const void* from, size_t bytes, uint32_t seed) {
  return Copy(to, from, bytes, seed, ChosenCrcKernel().kernel->crc32c);
}

uint64_t CopyCrc64Nvme(void* to, const void* from, size_t bytes, uint64_t seed) {
  return Copy(to, from, bytes, seed, ChosenCrcKernel().kernel->crc64nvme);
}

void BlockCrc32c(const void* data, size_t block_bytes, size_t blocks, uint32_t* crcs) {
  ChosenCrcKernel().kernel->block_crc32c(data, block_bytes, blocks, crcs);
}

void BlockCrc64Nvme(const void* data, size_t block_bytes, size_t blocks, uint64_t* crcs) {
  ChosenCrcKernel().kernel->block_crc64nvme(data, block_bytes, blocks, crcs);
}

uint64_t Xxh3(const void* data, size_t bytes, uint64_t seed) {
  RB_CHECK(ChosenXxh3Kernel() != nullptr);
  return ChosenXxh3Kernel()->kernel->hash(data, bytes, seed);
}

void BlockXxh3(const void* data, size_t block_bytes, size_t blocks, uint64_t* sums) {
  RB_CHECK(ChosenXxh3Kernel() != nullptr);
  const auto hash = ChosenXxh3Kernel()->kernel->hash;
  const auto* p = static_cast<const uint8_t*>(data);
  for (; blocks > 0; p += block_bytes, ++sums, --blocks) *sums = hash(p, block_bytes, *sums);
}

void Xxh3Update(Xxh3State* state, const void* data, size_t bytes) {
  RB_CHECK(ChosenXxh3Kernel() != nullptr);
  ChosenXxh3Kernel()->kernel->update(state, data, bytes);
}

uint64_t Xxh3Digest(const Xxh3State& state) {
  RB_CHECK(ChosenXxh3Kernel() != nullptr);
  return ChosenXxh3Kernel()->kernel->digest(&state);
}

}  // namespace ringbolt
