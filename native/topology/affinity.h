// Binding the calling thread to CPUs, and reporting what was really got.

#ifndef RINGBOLT_TOPOLOGY_AFFINITY_H_
#define RINGBOLT_TOPOLOGY_AFFINITY_H_

#include <vector>

#include "base/status.h"

namespace ringbolt {

// CPUs at or above this number are refused: it bounds the masks that are built from caller's lists.
inline constexpr int kMaxCpus = 8192;

// Binds the calling thread to `cpus`, which must not be empty. The kernel silently drops CPUs that
// are offline or outside the cpuset; it fails with EINVAL only if none is left. So ask
// CurrentCpus() after.
Status BindThread(const std::vector<int>& cpus);

// The CPUs that the calling thread may run on now, ascending; empty if the kernel would not say.
std::vector<int> CurrentCpus();

}  // namespace ringbolt

#endif  // RINGBOLT_TOPOLOGY_AFFINITY_H_
