// XXH3 with AVX2.

#include "checksum/xxh3_unit.h"

namespace ringbolt {

const Xxh3Kernel kXxh3Avx2 = kXxh3OfThisUnit;

}  // namespace ringbolt
