// The outcome of anything in native code that can fail outside the I/O path: an errno, the system
// call that gave it, and the circumstances in words. On the I/O path results are plain byte counts
// or -errno.

#ifndef RINGBOLT_BASE_STATUS_H_
#define RINGBOLT_BASE_STATUS_H_

#include <cerrno>
#include <string>
#include <utility>

namespace ringbolt {

class [[nodiscard]] Status {
 public:
  Status() = default;

  static Status Ok() { return {}; }

  // `error` is a positive errno; `syscall` a string literal; `detail` may be empty.
  static Status Error(int error, const char* syscall, std::string detail = {}) {
    Status status;
    status.error_ = error;
    status.syscall_ = syscall;
    status.detail_ = std::move(detail);
    return status;
  }

  // From the calling thread's errno, which must be read before anything else runs.
  static Status FromErrno(const char* syscall, std::string detail = {}) {
    return Error(errno, syscall, std::move(detail));
  }

  [[nodiscard]] bool ok() const { return error_ == 0; }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const char* syscall() const { return syscall_; }
  [[nodiscard]] const std::string& detail() const { return detail_; }

 private:
  int error_ = 0;
  const char* syscall_ = "";
  std::string detail_;
};

}  // namespace ringbolt

#endif  // RINGBOLT_BASE_STATUS_H_
