// Seeds for random tests: printed when the test fails, and given again through RINGBOLT_SEED.

#ifndef RINGBOLT_TEST_SUPPORT_SEED_H_
#define RINGBOLT_TEST_SUPPORT_SEED_H_

#include <cstdint>
#include <cstdlib>
#include <random>

namespace ringbolt::test {

inline uint64_t Seed() {
  const char* given = std::getenv("RINGBOLT_SEED");
  if (given != nullptr) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_SUPPORT_SEED_H_
