#include "support/temp_file.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace ringbolt::test {

TempFile::TempFile(size_t bytes) : path_("./.ringbolt-test-XXXXXX") {
  const int fd = mkstemp(path_.data());
  REQUIRE(fd >= 0);
  std::vector<uint32_t> words(bytes / 4);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>(i);
  REQUIRE(write(fd, words.data(), bytes) == static_cast<ssize_t>(bytes));
  // O_DIRECT reads must not race with dirty pages being written back.
  REQUIRE(fsync(fd) == 0);
  close(fd);
}

TempFile::~TempFile() { unlink(path_.c_str()); }

bool TempFile::MatchesPattern(const void* data, size_t offset, size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  for (size_t done = 0; done < bytes; done += 4) {
    const auto expected = static_cast<uint32_t>((offset + done) / 4);
    if (std::memcmp(at + done, &expected, 4) != 0) return false;
  }
  return true;
}

}  // namespace ringbolt::test
