// Checksums of memory that JavaScript has, on the thread that calls. lib/native.ts declares the
// shape; nobody but lib/checksum/ is meant to use it, and nothing that anybody does with it may
// harm the process.

#ifndef RINGBOLT_NODE_CHECKSUM_FUNCTIONS_H_
#define RINGBOLT_NODE_CHECKSUM_FUNCTIONS_H_

#include <napi.h>

namespace ringbolt {

// { block, simd, crc32c, crc64nvme, combineCrc32c, combineCrc64nvme }, and where this build has
// XXH3 { xxh3StateBytes, xxh3, xxh3Update, xxh3Digest } as well. Empty, with an exception pending,
// where that fails.
Napi::Value DefineChecksums(Napi::Env env);

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_CHECKSUM_FUNCTIONS_H_
