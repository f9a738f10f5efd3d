// How much of a range of memory has pages behind it.

#ifndef RINGBOLT_TEST_SUPPORT_RESIDENT_H_
#define RINGBOLT_TEST_SUPPORT_RESIDENT_H_

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/align.h"

namespace ringbolt::test {

inline size_t ResidentBytes(void* begin, size_t bytes) {
  std::vector<unsigned char> pages(bytes / kPageBytes);
  if (mincore(begin, bytes, pages.data()) != 0) return SIZE_MAX;
  return static_cast<size_t>(std::count_if(pages.begin(), pages.end(),
                                           [](unsigned char page) { return (page & 1) != 0; })) *
         kPageBytes;
}

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_SUPPORT_RESIDENT_H_
