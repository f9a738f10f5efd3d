#include "support/backend_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "io/aio_backend.h"
#include "io/faulty_backend.h"
#include "io/threads_backend.h"
#include "io/uring_backend.h"
#include "support/seed.h"

namespace ringbolt::test {

bool HaveUring() {
  std::unique_ptr<Backend> backend;
  const Status status =
      CreateUringBackend({.max_in_flight = 1, .max_files = 1, .without = {}}, &backend);
  if (!status.ok()) std::printf("SKIPPED: io_uring: %s\n", std::strerror(status.error()));
  return status.ok();
}

const std::vector<BackendVariant>& Uring::Variants() {
  static const auto& variants = *new std::vector<BackendVariant>{
      {"all features", {}},
      {"no SUBMIT_ALL", {"SUBMIT_ALL"}},
      {"no COOP_TASKRUN", {"COOP_TASKRUN"}},
      {"no DEFER_TASKRUN", {"DEFER_TASKRUN"}},
      {"no SINGLE_ISSUER", {"SINGLE_ISSUER", "DEFER_TASKRUN"}},
      {"no REGISTERED_RING", {"REGISTERED_RING"}},
      {"no FIXED_FILES", {"FIXED_FILES"}},
      {"none",
       {"SUBMIT_ALL", "COOP_TASKRUN", "SINGLE_ISSUER", "DEFER_TASKRUN", "REGISTERED_RING",
        "FIXED_FILES"}},
  };
  return variants;
}

Status Uring::Create(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  return CreateUringBackend(options, backend);
}

const std::vector<BackendVariant>& Aio::Variants() {
  static const auto& variants = *new std::vector<BackendVariant>{
      {"all features", {}},
      {"no USER_REAP", {"USER_REAP"}},
  };
  return variants;
}

Status Aio::Create(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  return CreateAioBackend(options, backend);
}

const std::vector<BackendVariant>& Threads::Variants() {
  static const auto& variants = *new std::vector<BackendVariant>{{"all features", {}}};
  return variants;
}

Status Threads::Create(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  return CreateThreadsBackend(options, backend);
}

Status CreateLate(BackendFactory inner, const BackendOptions& options,
                  std::unique_ptr<Backend>* backend) {
  Status status = inner(options, backend);
  if (!status.ok()) return status;
  const FaultPlan plan{.seed = Seed() | 1, .delays = kAllOperations / 2};
  *backend = AddFaults(plan, options.max_in_flight, std::move(*backend));
  return status;
}

BackendFixture::BackendFixture(BackendFactory create, const BackendVariant& variant,
                               uint32_t in_flight) {
  status_ =
      create({.max_in_flight = in_flight, .max_files = 8, .without = variant.without}, &backend_);
  direct_fd_ = open(file_.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
  buffered_fd_ = open(file_.path().c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(direct_fd_ >= 0);
  REQUIRE(buffered_fd_ >= 0);
  if (status_.ok()) backend_->RegisterFile(kFileSlot, direct_fd_);
}

BackendFixture::~BackendFixture() {
  backend_.reset();
  close(direct_fd_);
  close(buffered_fd_);
}

bool BackendFixture::available() const {
  if (status_.ok()) return true;
  std::printf("SKIPPED: %s: %s\n", status_.syscall(), std::strerror(status_.error()));
  return false;
}

BackendOp BackendFixture::Op(OpKind kind, uint64_t id, uint64_t offset, void* data,
                             uint32_t length) const {
  BackendOp op = BufferedOp(kind, id, offset, data, length);
  op.fd = direct_fd_;
  op.file_slot = kFileSlot;
  op.direct = true;
  op.granularity = 512;
  return op;
}

BackendOp BackendFixture::BufferedOp(OpKind kind, uint64_t id, uint64_t offset, void* data,
                                     uint32_t length) const {
  BackendOp op;
  op.kind = kind;
  op.id = id;
  op.fd = buffered_fd_;
  op.file_slot = 7;  // not registered
  op.offset = offset;
  op.data = data;
  op.length = length;
  return op;
}

void BackendFixture::Submit(const std::vector<BackendOp>& ops) {
  REQUIRE(backend_->Submit(ops) == ops.size());
}

std::vector<BackendResult> BackendFixture::Collect(size_t count) {
  std::vector<BackendResult> collected;
  std::array<BackendResult, 8> results;
  while (collected.size() < count) {
    REQUIRE(backend_->Wait(true).ok());
    for (size_t n = backend_->Reap(results); n > 0; n = backend_->Reap(results)) {
      collected.insert(collected.end(), results.begin(), results.begin() + static_cast<long>(n));
    }
  }
  REQUIRE(collected.size() == count);
  return collected;
}

int32_t BackendFixture::Run(const BackendOp& op) {
  Submit({op});
  const auto results = Collect(1);
  CHECK(results[0].id == op.id);
  return results[0].result;
}

}  // namespace ringbolt::test
