#include "engine/machine_probe.h"

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "base/thread.h"
#include "io/uring_backend.h"
#include "topology/affinity.h"

namespace ringbolt {

namespace {

// As large as by default: some reasons, such as RLIMIT_NOFILE, depend on it.
constexpr uint32_t kDepth = 128;
constexpr uint32_t kMaxFiles = 1024;

// From linux/ioprio.h, which older systems do not have.
constexpr int kIoprioWhoProcess = 1;

void ProbeUring(MachineProbe* probe) {
  std::unique_ptr<Backend> backend;
  BackendOptions options;
  options.max_in_flight = kDepth;
  options.max_files = kMaxFiles;
  probe->uring = CreateUringBackend(options, &backend);
  if (backend != nullptr) probe->uring_features = backend->features();
}

Status ProbeAio() {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, kDepth, &context) != 0) return Status::FromErrno("io_setup");
  (void)syscall(SYS_io_destroy, context);
  return Status::Ok();
}

void ProbeAffinity(MachineProbe* probe) {
  probe->cpus = CurrentCpus();
  if (probe->cpus.empty()) {
    probe->affinity = Status::Error(EINVAL, "sched_getaffinity", "the kernel would not say");
    return;
  }
  probe->affinity = BindThread({probe->cpus.front()});
  probe->cpus_bound = CurrentCpus();
}

Status ProbeIoPriority() {
  constexpr int kThisThread = 0;
  if (syscall(SYS_ioprio_set, kIoprioWhoProcess, kThisThread, int{kIdlePriority}) != 0) {
    return Status::FromErrno("ioprio_set");
  }
  return Status::Ok();
}

}  // namespace

Status ProbeMachine(MachineProbe* probe) {
  // Affinity and priority are a thread's own and end with it; so does what the kernel keeps for a
  // thread that has used io_uring.
  Thread thread;
  Status status = thread.Start("ringbolt-probe", [probe] {
    ProbeUring(probe);
    probe->aio = ProbeAio();
    probe->io_priority = ProbeIoPriority();
    ProbeAffinity(probe);
  });
  if (status.ok()) thread.Join();
  return status;
}

}  // namespace ringbolt
