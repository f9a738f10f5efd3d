// Shows that a probe says the same as the things it tries, and leaves nothing behind.

#include "engine/machine_probe.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "io/uring_backend.h"
#include "topology/affinity.h"

namespace ringbolt {

namespace {

ptrdiff_t EntriesIn(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

}  // namespace

TEST_CASE("MachineProbe: io_uring as a queue would find it") {
  MachineProbe probe;
  REQUIRE(ProbeMachine(&probe).ok());
  std::unique_ptr<Backend> backend;
  BackendOptions options;
  options.max_in_flight = 128;
  options.max_files = 1024;
  const Status status = CreateUringBackend(options, &backend);
  CHECK(probe.uring.error() == status.error());
  CHECK(probe.uring_features.empty() == (backend == nullptr));
  if (backend == nullptr) return;
  REQUIRE(probe.uring_features.size() == backend->features().size());
  for (size_t i = 0; i < probe.uring_features.size(); ++i) {
    CHECK(std::string(probe.uring_features[i].name) == backend->features()[i].name);
    CHECK(probe.uring_features[i].active == backend->features()[i].active);
    CHECK(probe.uring_features[i].active == probe.uring_features[i].reason.empty());
  }
}

TEST_CASE("MachineProbe: binds a thread of its own, not the caller's") {
  const std::vector<int> before = CurrentCpus();
  MachineProbe probe;
  REQUIRE(ProbeMachine(&probe).ok());
  CHECK(probe.cpus == before);
  REQUIRE(probe.affinity.ok());
  CHECK(probe.cpus_bound == std::vector<int>{before.front()});
  CHECK(CurrentCpus() == before);
}

TEST_CASE("MachineProbe: leaves no thread, descriptor or AIO context behind") {
  MachineProbe first;
  REQUIRE(ProbeMachine(&first).ok());
  const ptrdiff_t descriptors = EntriesIn("/proc/self/fd");
  for (int i = 0; i < 50; ++i) {
    MachineProbe probe;
    REQUIRE(ProbeMachine(&probe).ok());
  }
  CHECK(EntriesIn("/proc/self/fd") == descriptors);
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) CHECK(line.find("[aio]") == std::string::npos);
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    CHECK(name != "ringbolt-probe");
  }
}

}  // namespace ringbolt
