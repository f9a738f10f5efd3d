// Joining CRCs without the data: appending n bytes to what crc_a covers multiplies its part of the
// result by x^(8n) mod P. The ones that a CRC begins and ends with cancel out.

#include <array>

#include "checksum/checksum.h"

namespace ringbolt {

namespace {

// The product of two reflected polynomials mod P: the top bit is the coefficient of x^0.
template <typename Crc>
constexpr Crc Multiply(Crc a, Crc b, Crc reflected_polynomial) {
  Crc product = 0;
  for (; a != 0; a = static_cast<Crc>(a << 1)) {
    if ((a >> ((8 * sizeof(Crc)) - 1)) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? reflected_polynomial : Crc{0});  // times x
  }
  return product;
}

template <typename Crc, Crc kReflectedPolynomial>
struct Combiner {
  // powers[i] is x^(8 * 2^i) mod P.
  static constexpr std::array<Crc, 64> MakePowers() {
    std::array<Crc, 64> powers{};
    powers[0] = Crc{1} << ((8 * sizeof(Crc)) - 1 - 8);
    for (size_t i = 1; i < powers.size(); ++i) {
      powers[i] = Multiply(powers[i - 1], powers[i - 1], kReflectedPolynomial);
    }
    return powers;
  }
  static constexpr std::array<Crc, 64> kPowers = MakePowers();

  static Crc Combine(Crc crc_a, Crc crc_b, uint64_t bytes_b) {
    for (size_t i = 0; bytes_b != 0; ++i, bytes_b >>= 1) {
      if ((bytes_b & 1) != 0) crc_a = Multiply(kPowers[i], crc_a, kReflectedPolynomial);
    }
    return crc_a ^ crc_b;
  }
};

}  // namespace

uint32_t Crc32cCombine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b) {
  return Combiner<uint32_t, 0x82f63b78>::Combine(crc_a, crc_b, bytes_b);
}

uint64_t Crc64NvmeCombine(uint64_t crc_a, uint64_t crc_b, uint64_t bytes_b) {
  return Combiner<uint64_t, 0x9a6c9329ac4bc9b5>::Combine(crc_a, crc_b, bytes_b);
}

}  // namespace ringbolt
