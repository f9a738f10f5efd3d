// The CRCs as their definitions have them, bit by bit and byte by byte: slow, short, and sharing
// nothing with the kernels.

#ifndef RINGBOLT_TEST_CHECKSUM_REFERENCE_H_
#define RINGBOLT_TEST_CHECKSUM_REFERENCE_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringbolt::test {

// The polynomials with the coefficient of x^0 on top, as both CRCs process their bits.
inline constexpr uint32_t kCrc32cPolynomial = 0x82f63b78;
inline constexpr uint64_t kCrc64NvmePolynomial = 0x9a6c9329ac4bc9b5;

template <typename Crc>
struct Reference {
  static constexpr Crc kPolynomial =
      static_cast<Crc>(sizeof(Crc) == 4 ? kCrc32cPolynomial : kCrc64NvmePolynomial);

  // One byte more. `state` is not inverted: all ones at the beginning.
  static constexpr Crc ByBits(Crc state, uint8_t byte) {
    state ^= byte;
    for (int bit = 0; bit < 8; ++bit) {
      state = (state & 1) != 0 ? (state >> 1) ^ kPolynomial : state >> 1;
    }
    return state;
  }

  static constexpr std::array<Crc, 256> MakeTable() {
    std::array<Crc, 256> table{};
    for (size_t i = 0; i < 256; ++i) table[i] = ByBits(0, static_cast<uint8_t>(i));
    return table;
  }
  static constexpr std::array<Crc, 256> kTable = MakeTable();

  // What a kernel returns, a byte at a time: for data that is too large for bits.
  static Crc ByTable(const uint8_t* data, size_t bytes, Crc seed = 0) {
    Crc state = static_cast<Crc>(~seed);
    for (size_t i = 0; i < bytes; ++i) state = (state >> 8) ^ kTable[(state ^ data[i]) & 0xff];
    return static_cast<Crc>(~state);
  }
};

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_CHECKSUM_REFERENCE_H_
