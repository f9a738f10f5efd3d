#include "io/setup_failure.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/scoped_fd.h"

namespace ringbolt {

namespace {

// What stands in a small file of /proc, without the line's end; empty where it cannot be read.
std::string ReadSmallFile(const char* path) {
  const ScopedFd fd(open(path, O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text;
  const ssize_t bytes = fd.valid() ? read(fd.get(), text.data(), text.size()) : -1;
  std::string content(text.data(), static_cast<size_t>(std::max<ssize_t>(bytes, 0)));
  while (!content.empty() && content.back() == '\n') content.pop_back();
  return content;
}

bool HasSeccompFilter() {
  return ReadSmallFile("/proc/self/status").find("\nSeccomp:\t2") != std::string::npos;
}

std::string LimitInWords(int resource, const char* name) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return name;
  if (limit.rlim_cur == RLIM_INFINITY) return std::string(name) + " is unlimited";
  return std::string(name) + " is " + std::to_string(limit.rlim_cur);
}

// The setting answers before a security module does; a seccomp filter answers before both.
std::string WhoForbidsUring() {
  const std::string disabled = ReadSmallFile("/proc/sys/kernel/io_uring_disabled");
  const bool filtered = HasSeccompFilter();
  if (disabled == "2") return "kernel.io_uring_disabled=2";
  if (disabled == "1") {
    return std::string(
               "kernel.io_uring_disabled=1: only for processes with CAP_SYS_ADMIN or in the group "
               "kernel.io_uring_group") +
           (filtered ? ", or a seccomp filter forbids it" : "");
  }
  if (filtered) return "a seccomp filter forbids it, as those of container engines do";
  return "no setting or seccomp filter forbids it: perhaps a security module does";
}

std::string ExplainUring(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return WhoForbidsUring();
    case ENOSYS:
      return HasSeccompFilter() ? "a seccomp filter hides it, or the kernel has none (Linux 5.6)"
                                : "the kernel has none: needs Linux 5.6 and CONFIG_IO_URING";
    case ENOMEM:
      return LimitInWords(RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK") +
             " (kernels before 5.12 count rings against it), or memory is short";
    default:
      return {};
  }
}

std::string ExplainAio(int error) {
  switch (error) {
    case EAGAIN:
      return "fs.aio-max-nr is " + ReadSmallFile("/proc/sys/fs/aio-max-nr") + ", of which " +
             ReadSmallFile("/proc/sys/fs/aio-nr") + " are taken";
    case EPERM:
    case EACCES:
      return HasSeccompFilter() ? "a seccomp filter forbids it" : "perhaps a security module does";
    case ENOSYS:
      return HasSeccompFilter() ? "a seccomp filter hides it, or the kernel has none"
                                : "the kernel has none: needs CONFIG_AIO";
    default:
      return {};
  }
}

std::string Explain(const Status& status) {
  if (status.error() == EMFILE) return LimitInWords(RLIMIT_NOFILE, "RLIMIT_NOFILE");
  if (std::strncmp(status.syscall(), "io_uring", 8) == 0) return ExplainUring(status.error());
  if (std::strcmp(status.syscall(), "io_setup") == 0) return ExplainAio(status.error());
  return {};
}

}  // namespace

Status ExplainSetupFailure(Status status) {
  if (status.ok() || !status.detail().empty()) return status;
  return Status::Error(status.error(), status.syscall(), Explain(status));
}

}  // namespace ringbolt
