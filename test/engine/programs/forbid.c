// Runs a command in which some system calls fail with an errno of one's choosing: what the seccomp profile of a container
// does. Compiled by the tests that need it.
//
//   forbid EPERM|ENOSYS io_uring|aio|both command [argument...]

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const unsigned error = strcmp(argv[1], "ENOSYS") == 0 ? ENOSYS : EPERM;
  // A number that no call has, where one of the two stays allowed.
  const unsigned uring = strcmp(argv[2], "aio") == 0 ? 0xffff : SYS_io_uring_setup;
  const unsigned aio = strcmp(argv[2], "io_uring") == 0 ? 0xffff : SYS_io_setup;
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, uring, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, aio, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("seccomp");
    return 3;
  }
  execvp(argv[3], argv + 3);
  perror(argv[3]);
  return 4;
}
