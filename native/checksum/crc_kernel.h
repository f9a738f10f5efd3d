// What one translation unit per instruction set offers. Units include this, fold_constants.h and
// intrinsics, nothing else: any inline function they compiled, the linker could merge into code
// that runs on every CPU. So there is none here either.

#ifndef RINGBOLT_CHECKSUM_CRC_KERNEL_H_
#define RINGBOLT_CHECKSUM_CRC_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

namespace ringbolt {

// Thread-safe and without state. A CRC is always the finished one, so that it is the seed for what
// follows: f(b, f(a, 0)) == f(ab, 0). Data may be of any length and alignment, and no byte outside
// it is read. In the block functions `crcs` holds each block's seed on entry and its CRC on return.
struct CrcKernel {
  uint32_t (*crc32c)(const void* data, size_t bytes, uint32_t seed);
  uint64_t (*crc64nvme)(const void* data, size_t bytes, uint64_t seed);
  void (*block_crc32c)(const void* data, size_t block_bytes, size_t blocks, uint32_t* crcs);
  void (*block_crc64nvme)(const void* data, size_t block_bytes, size_t blocks, uint64_t* crcs);
};

extern const CrcKernel kCrcPortable;
extern const CrcKernel kCrcSse42;   // x86-64 with SSE4.2 and PCLMULQDQ
extern const CrcKernel kCrcAvx512;  // x86-64 with AVX-512 F, BW, VL, VBMI and VPCLMULQDQ
extern const CrcKernel kCrcArmv8;   // arm64 with CRC32 and PMULL

}  // namespace ringbolt

#endif  // RINGBOLT_CHECKSUM_CRC_KERNEL_H_
