// The published and recorded results of test/vectors/checksums.json.

#ifndef RINGBOLT_TEST_CHECKSUM_VECTORS_H_
#define RINGBOLT_TEST_CHECKSUM_VECTORS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ringbolt::test {

struct ChecksumVector {
  std::string name;
  std::vector<uint8_t> data;
  uint32_t crc32c = 0;
  uint64_t crc64nvme = 0;
  uint64_t xxh3 = 0;
};

// Empty if the file is missing or says something that this does not understand.
std::vector<ChecksumVector> ReadChecksumVectors();

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_CHECKSUM_VECTORS_H_
