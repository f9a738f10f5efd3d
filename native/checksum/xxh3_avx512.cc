// XXH3 with AVX-512.

#include "checksum/avx512_intrinsics.h"
#include "checksum/xxh3_unit.h"

namespace ringbolt {

const Xxh3Kernel kXxh3Avx512 = kXxh3OfThisUnit;

}  // namespace ringbolt
