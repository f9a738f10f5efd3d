// Shows which backend is chosen, and what is said of those that cannot be had.

#include "io/choose_backend.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "io/setup_failure.h"

namespace ringbolt {

namespace {

bool Contains(const Status& status, const char* text) {
  return status.detail().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("CreateBackend: one that is named is had, or nothing is") {
  const std::pair<BackendKind, std::string> named[] = {{BackendKind::kUring, "io_uring"},
                                                       {BackendKind::kAio, "aio"},
                                                       {BackendKind::kThreads, "threads"}};
  for (const auto& [kind, name] : named) {
    CAPTURE(name);
    std::unique_ptr<Backend> backend;
    const Status status =
        CreateBackend({.kind = kind, .max_in_flight = 8, .max_files = 1, .without = {}}, &backend);
    CHECK(status.ok() == (backend != nullptr));
    if (backend == nullptr) continue;
    CHECK(backend->name() == name);
    CHECK(backend->passed_over().empty());
  }
}

TEST_CASE("CreateBackend: 'auto' takes the best, and passes over with a reason") {
  std::unique_ptr<Backend> backend;
  REQUIRE(CreateBackend({.max_in_flight = 8, .max_files = 1, .without = {}}, &backend).ok());
  const std::string best_first[] = {"io_uring", "aio", "threads"};
  const auto& passed_over = backend->passed_over();
  REQUIRE(passed_over.size() < 3);
  CHECK(backend->name() == best_first[passed_over.size()]);
  for (size_t i = 0; i < passed_over.size(); ++i) {
    CHECK(passed_over[i].name == best_first[i]);
    CHECK_FALSE(passed_over[i].status.ok());
  }
}

TEST_CASE("ExplainSetupFailure: names what to change") {
  CHECK(Contains(ExplainSetupFailure(Status::Error(EAGAIN, "io_setup")), "fs.aio-max-nr is "));
  CHECK(Contains(ExplainSetupFailure(Status::Error(ENOMEM, "io_uring_setup")), "RLIMIT_MEMLOCK"));
  CHECK(Contains(ExplainSetupFailure(Status::Error(EMFILE, "eventfd")), "RLIMIT_NOFILE is "));
  CHECK_FALSE(ExplainSetupFailure(Status::Error(EPERM, "io_uring_setup")).detail().empty());
  CHECK_FALSE(ExplainSetupFailure(Status::Error(ENOSYS, "io_setup")).detail().empty());
  CHECK(ExplainSetupFailure(Status::Error(EIO, "elsewhere")).detail().empty());
  CHECK(ExplainSetupFailure(Status::Error(EPERM, "io_setup", "as it is")).detail() == "as it is");
  CHECK(ExplainSetupFailure(Status::Ok()).ok());
}

}  // namespace ringbolt
