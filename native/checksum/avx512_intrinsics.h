// <immintrin.h>, without g++ 12's warnings of the registers that its own AVX-512 functions leave
// undefined on purpose (GCC bug 105593). Nothing else: see crc_kernel.h.

#ifndef RINGBOLT_CHECKSUM_AVX512_INTRINSICS_H_
#define RINGBOLT_CHECKSUM_AVX512_INTRINSICS_H_

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif  // RINGBOLT_CHECKSUM_AVX512_INTRINSICS_H_
