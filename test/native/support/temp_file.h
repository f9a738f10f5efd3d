// A file that is gone when the test is: in the working directory's file system, which is a real
// one, where /tmp may be a tmpfs.

#ifndef RINGBOLT_TEST_SUPPORT_TEMP_FILE_H_
#define RINGBOLT_TEST_SUPPORT_TEMP_FILE_H_

#include <cstddef>
#include <string>

namespace ringbolt::test {

class TempFile {
 public:
  // `bytes` of a pattern in which every 32-bit word is its own offset / 4.
  explicit TempFile(size_t bytes);
  ~TempFile();
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;

  const std::string& path() const { return path_; }

  static bool MatchesPattern(const void* data, size_t offset, size_t bytes);

 private:
  std::string path_;
};

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_SUPPORT_TEMP_FILE_H_
