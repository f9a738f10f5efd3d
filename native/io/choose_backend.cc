#include "io/choose_backend.h"

#include <utility>

#include "io/aio_backend.h"
#include "io/faulty_backend.h"
#include "io/setup_failure.h"
#include "io/threads_backend.h"
#include "io/uring_backend.h"

namespace ringbolt {

namespace {

struct Candidate {
  BackendKind kind;
  const char* name;
  Status (*create)(const BackendOptions&, std::unique_ptr<Backend>*);
};

constexpr Candidate kBestFirst[] = {
    {BackendKind::kUring, "io_uring", CreateUringBackend},
    {BackendKind::kAio, "aio", CreateAioBackend},
    {BackendKind::kThreads, "threads", CreateThreadsBackend},
};

}  // namespace

Status CreateBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  std::vector<PassedOver> tried;
  Status status;
  for (const Candidate& candidate : kBestFirst) {
    if (options.kind != BackendKind::kAuto && options.kind != candidate.kind) continue;
    status = ExplainSetupFailure(candidate.create(options, backend));
    if (status.ok()) {
      (*backend)->set_passed_over(std::move(tried));
      if (options.faults.seed == 0) return status;
      *backend = AddFaults(options.faults, options.max_in_flight, std::move(*backend));
      return status;
    }
    tried.push_back({candidate.name, status});
  }
  return status;
}

}  // namespace ringbolt
