#include "topology/affinity.h"

#include <sched.h>

#include <memory>

namespace ringbolt {

namespace {

// cpu_set_t ends at 1024 CPUs; larger machines need a mask allocated to size.
struct CpuMask {
  CpuMask() : set(CPU_ALLOC(kMaxCpus)), bytes(CPU_ALLOC_SIZE(kMaxCpus)) {
    if (set != nullptr) CPU_ZERO_S(bytes, set);
  }
  ~CpuMask() {
    if (set != nullptr) CPU_FREE(set);
  }
  CpuMask(const CpuMask&) = delete;
  CpuMask& operator=(const CpuMask&) = delete;

  cpu_set_t* const set;
  const size_t bytes;
};

}  // namespace

Status BindThread(const std::vector<int>& cpus) {
  const CpuMask mask;
  if (mask.set == nullptr) return Status::Error(ENOMEM, "sched_setaffinity");
  for (const int cpu : cpus) {
    if (cpu < 0 || cpu >= kMaxCpus) return Status::Error(EINVAL, "sched_setaffinity");
    CPU_SET_S(static_cast<size_t>(cpu), mask.bytes, mask.set);
  }
  if (sched_setaffinity(0, mask.bytes, mask.set) != 0) {
    return Status::FromErrno("sched_setaffinity");
  }
  return Status::Ok();
}

std::vector<int> CurrentCpus() {
  std::vector<int> cpus;
  const CpuMask mask;
  if (mask.set == nullptr || sched_getaffinity(0, mask.bytes, mask.set) != 0) return cpus;
  for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (CPU_ISSET_S(static_cast<size_t>(cpu), mask.bytes, mask.set)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace ringbolt
