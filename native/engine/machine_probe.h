// What the kernel lets this process do, found out by doing it: on a thread of its own that is gone,
// with everything it made, when ProbeMachine() returns. Blocks; not for JavaScript's thread.

#ifndef RINGBOLT_ENGINE_MACHINE_PROBE_H_
#define RINGBOLT_ENGINE_MACHINE_PROBE_H_

#include <vector>

#include "base/status.h"
#include "io/backend.h"

namespace ringbolt {

struct MachineProbe {
  Status uring;                                // a ring such as a queue has
  std::vector<BackendFeature> uring_features;  // empty if there is none
  Status aio;                                  // Linux native AIO: a context
  Status affinity;                             // binding a thread to the first of `cpus`
  std::vector<int> cpus;                       // that the thread could run on before
  std::vector<int> cpus_bound;                 // and after
  Status io_priority;                          // putting the thread into the idle class
};

// Fails only where no thread can be had.
Status ProbeMachine(MachineProbe* probe);

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_MACHINE_PROBE_H_
