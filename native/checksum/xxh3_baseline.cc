// XXH3 for any CPU of the architecture: SSE2 on x86-64, NEON on arm64.

#include "checksum/xxh3_unit.h"

namespace ringbolt {

const Xxh3Kernel kXxh3Baseline = kXxh3OfThisUnit;

}  // namespace ringbolt
