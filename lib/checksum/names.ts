// The names of checksums and of the instruction sets that compute them.

/** CRC-32C (Castagnoli), CRC-64/NVME, XXH3 with 64 bits. */
export const CHECKSUM_NAMES = ['crc32c', 'crc64nvme', 'xxh3'] as const;
export type ChecksumName = (typeof CHECKSUM_NAMES)[number];

/** Lowest first, on each architecture: `portable`, then `sse42` and `avx512` on x64, `armv8` on arm64. */
export type SimdLevel = 'portable' | 'sse42' | 'avx512' | 'armv8';
