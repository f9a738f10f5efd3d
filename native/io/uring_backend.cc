// One ring, one thread.
//
// All submissions of a loop turn go to the kernel in one io_uring_enter(), which also waits and,
// with DEFER_TASKRUN, is the only time at which completions are worked off: they never interrupt
// the thread. Waking: a read of an eventfd is always in flight; another thread writes to the
// eventfd, the read completes, the wait ends. A thread sleeping in io_uring_enter() cannot miss
// that, unlike one that polls the ring's descriptor.
//
// A ring that is polled by an event loop has the eventfd registered instead: the kernel writes to
// it when there is something to work off. (The ring's own descriptor will not do: with
// DEFER_TASKRUN a poll of it was seen to miss the first completion.)

#include "io/uring_backend.h"

#if RINGBOLT_HAVE_LIBURING

#include <liburing.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "base/align.h"
#include "base/check.h"
#include "base/scoped_fd.h"

namespace ringbolt {

namespace {

// Ids of our own requests, apart from the queue's, which stay below 2^63.
constexpr uint64_t kWakeId = uint64_t{1} << 63;
constexpr uint64_t kCancelId = kWakeId | 1;

constexpr uint32_t kMaxSubmissions = 4096;

// Set-up flags, each optional. An older kernel answers EINVAL to the whole set, so they are tried
// one by one.
struct SetupFlag {
  uint32_t flag;
  const char* name;
  const char* since;
};
constexpr SetupFlag kSetupFlags[] = {
    // Go on with the batch when one submission fails at once; without it the rest waits for the
    // next enter.
    {IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL", "Linux 5.18"},
    // No interrupt of the thread for each completion.
    {IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN", "Linux 5.19"},
    // Promise that one thread submits; a condition of the next.
    {IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER", "Linux 6.0"},
    // Completions are worked off only inside this thread's own enter: in batches, cache-hot.
    {IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN", "Linux 6.1"},
};

class UringBackend final : public Backend {
 public:
  UringBackend() = default;
  ~UringBackend() override {
    if (wake_armed_) EndWake();
    DestroyRing();
  }

  Status Init(const BackendOptions& options);

  [[nodiscard]] const char* name() const override { return "io_uring"; }
  [[nodiscard]] const std::vector<BackendFeature>& features() const override { return features_; }
  size_t Submit(std::span<const BackendOp> ops) override;
  Status Wait(bool block) override;
  size_t Reap(std::span<BackendResult> results) override;
  void Cancel(uint64_t id) override;
  void Wake() override;
  [[nodiscard]] int PollableFd() const override { return polled_ ? wake_fd_.get() : -1; }
  [[nodiscard]] bool HasNews() const override;
  void RegisterFile(uint32_t slot, int fd) override;

 private:
  Status CreateRing(const BackendOptions& options);
  void DestroyRing();
  void EndWake();
  Status CheckOperations();
  void RegisterRingFd(const BackendOptions& options);
  void RegisterFileTable(const BackendOptions& options);
  io_uring_sqe* NextSqe();
  void ArmWake();
  void Prepare(io_uring_sqe* sqe, const BackendOp& op) const;

  io_uring ring_{};
  bool ring_ready_ = false;
  ScopedFd wake_fd_;
  uint64_t wake_value_ = 0;  // the kernel writes the eventfd's counter here
  bool wake_armed_ = false;
  bool ending_ = false;
  bool polled_ = false;    // wake_fd_ is for the kernel to signal completions with
  bool deferred_ = false;  // DEFER_TASKRUN: completions appear only inside enter
  uint32_t in_flight_ = 0;
  uint32_t max_in_flight_ = 0;
  std::vector<bool> registered_files_;  // by slot; empty: no file table
  std::vector<BackendFeature> features_;
};

Status UringBackend::Init(const BackendOptions& options) {
  max_in_flight_ = options.max_in_flight;
  polled_ = options.polled;
  wake_fd_ = ScopedFd(eventfd(0, EFD_CLOEXEC | (polled_ ? EFD_NONBLOCK : 0)));
  if (!wake_fd_.valid()) return Status::FromErrno("eventfd");
  Status status = CreateRing(options);
  if (status.ok()) status = CheckOperations();
  if (!status.ok()) return status;
  RegisterRingFd(options);
  RegisterFileTable(options);
  if (!polled_) {
    ArmWake();
    return Status::Ok();
  }
  const int result = io_uring_register_eventfd(&ring_, wake_fd_.get());
  return result < 0 ? Status::Error(-result, "io_uring_register") : Status::Ok();
}

// The richest set of flags that this kernel takes. A current one takes all at the first try; on
// another, each is added to those that worked before it, so that the report can say which are
// missing.
Status UringBackend::CreateRing(const BackendOptions& options) {
  // What does not fit in the submission queue makes it be flushed (NextSqe); the completion queue
  // holds every operation in flight, its cancellation and the wake-up at once, so it cannot
  // overflow.
  const uint32_t entries = std::min(NextPowerOfTwo(max_in_flight_), kMaxSubmissions);
  const uint32_t completions = NextPowerOfTwo((2 * max_in_flight_) + 1);
  const auto create = [&](uint32_t flags) {
    io_uring_params params{};
    params.flags = IORING_SETUP_CQSIZE | flags;
    // Who polls asks the ring whether there is anything to work off: see HasNews(). The flag is as
    // old as COOP_TASKRUN and needs that or DEFER_TASKRUN.
    if (polled_ && (flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN)) != 0) {
      params.flags |= IORING_SETUP_TASKRUN_FLAG;
    }
    params.cq_entries = completions;
    const int result = io_uring_queue_init_params(entries, &ring_, &params);
    ring_ready_ = result == 0;
    return -result;
  };

  uint32_t wanted = 0;
  for (const SetupFlag& optional : kSetupFlags) {
    if (!IsDisabled(options.without, optional.name)) wanted |= optional.flag;
  }
  uint32_t working = 0;
  const bool all = create(wanted) == 0;
  for (const SetupFlag& optional : kSetupFlags) {
    if ((wanted & optional.flag) == 0) {
      features_.push_back(DisabledFeature(optional.name));
      continue;
    }
    const int error = all ? 0 : create(working | optional.flag);
    if (error == 0) working |= optional.flag;
    if (!all && error == 0) DestroyRing();
    features_.push_back(TriedFeature(optional.name, error, std::string("needs ") + optional.since));
  }
  if (!all) {
    const int error = create(working);
    if (error != 0) return Status::Error(error, "io_uring_setup");
  }
  deferred_ = (working & IORING_SETUP_DEFER_TASKRUN) != 0;
  return Status::Ok();
}

void UringBackend::DestroyRing() {
  if (ring_ready_) io_uring_queue_exit(&ring_);
  ring_ready_ = false;
}

// The wake-up read writes into this object, so it must end first. Nothing else is in flight any
// more.
void UringBackend::EndWake() {
  ending_ = true;
  Wake();
  BackendResult ignored;
  while (wake_armed_ && Wait(true).ok()) (void)Reap({&ignored, 1});
}

Status UringBackend::CheckOperations() {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  if (probe == nullptr) return Status::Error(ENOSYS, "io_uring_register", "needs Linux 5.6");
  const bool complete = io_uring_opcode_supported(probe, IORING_OP_NOP) != 0 &&
                        io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                        io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0 &&
                        io_uring_opcode_supported(probe, IORING_OP_FSYNC) != 0 &&
                        io_uring_opcode_supported(probe, IORING_OP_ASYNC_CANCEL) != 0;
  io_uring_free_probe(probe);
  if (complete) return Status::Ok();
  return Status::Error(ENOSYS, "io_uring_register", "needs Linux 5.6");
}

// Saves the kernel the look-up of the ring's descriptor at each enter.
void UringBackend::RegisterRingFd(const BackendOptions& options) {
  constexpr const char* kName = "REGISTERED_RING";
  if (IsDisabled(options.without, kName)) return features_.push_back(DisabledFeature(kName));
  const int result = io_uring_register_ring_fd(&ring_);
  features_.push_back(TriedFeature(kName, result < 0 ? -result : 0, "needs Linux 5.18"));
}

// Saves the kernel the reference count of the file at each operation.
void UringBackend::RegisterFileTable(const BackendOptions& options) {
  constexpr const char* kName = "FIXED_FILES";
  if (IsDisabled(options.without, kName)) return features_.push_back(DisabledFeature(kName));
  const int result = io_uring_register_files_sparse(&ring_, options.max_files);
  if (result == 0) registered_files_.assign(options.max_files, false);
  const std::string needs = result == -EMFILE
                                ? "RLIMIT_NOFILE is below " + std::to_string(options.max_files)
                                : "needs Linux 5.19";
  features_.push_back(TriedFeature(kName, result < 0 ? -result : 0, needs));
}

// A free entry; hands the prepared ones to the kernel first if there is none.
io_uring_sqe* UringBackend::NextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    const int result = io_uring_submit(&ring_);
    RB_CHECK(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY);
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

void UringBackend::ArmWake() {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_read(sqe, wake_fd_.get(), &wake_value_, sizeof wake_value_, 0);
  sqe->user_data = kWakeId;
  wake_armed_ = true;
}

size_t UringBackend::Submit(std::span<const BackendOp> ops) {
  const size_t count = std::min<size_t>(ops.size(), max_in_flight_ - in_flight_);
  for (const BackendOp& op : ops.first(count)) Prepare(NextSqe(), op);
  in_flight_ += static_cast<uint32_t>(count);
  return count;
}

void UringBackend::Prepare(io_uring_sqe* sqe, const BackendOp& op) const {
  switch (op.kind) {
    case OpKind::kNop:
      io_uring_prep_nop(sqe);
      break;
    case OpKind::kRead:
      io_uring_prep_read(sqe, op.fd, op.data, op.length, op.offset);
      if (op.idle_priority) sqe->ioprio = kIdlePriority;
      break;
    case OpKind::kWrite:
      io_uring_prep_write(sqe, op.fd, op.data, op.length, op.offset);
      if (op.durable) sqe->rw_flags = RWF_DSYNC;
      break;
    case OpKind::kDataSync:
      io_uring_prep_fsync(sqe, op.fd, IORING_FSYNC_DATASYNC);
      break;
  }
  if (op.kind != OpKind::kNop && op.file_slot < registered_files_.size() &&
      registered_files_[op.file_slot]) {
    sqe->fd = static_cast<int>(op.file_slot);
    sqe->flags |= IOSQE_FIXED_FILE;
  }
  sqe->user_data = op.id;
}

Status UringBackend::Wait(bool block) {
  if (!wake_armed_ && !ending_ && !polled_) ArmWake();
  int result = 0;
  if (block) {
    result = io_uring_submit_and_wait(&ring_, 1);
  } else if (deferred_) {
    result = io_uring_submit_and_get_events(&ring_);
  } else {
    result = io_uring_submit(&ring_);
  }
  // EINTR, EAGAIN and EBUSY: nothing is lost, what was not taken stays in the queue for the next
  // call.
  if (result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY) {
    return Status::Ok();
  }
  return Status::Error(-result, "io_uring_enter");
}

size_t UringBackend::Reap(std::span<BackendResult> results) {
  size_t reaped = 0;
  unsigned seen = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    if (cqe->user_data == kWakeId) {
      wake_armed_ = false;
    } else if (cqe->user_data != kCancelId) {
      if (reaped == results.size()) break;
      results[reaped++] = {cqe->user_data, cqe->res};
    }
    ++seen;
  }
  io_uring_cq_advance(&ring_, seen);
  in_flight_ -= static_cast<uint32_t>(reaped);
  return reaped;
}

// The kernel sets the flag before it signals: whoever has read that signal sees it.
bool UringBackend::HasNews() const {
  return io_uring_cq_ready(&ring_) > 0 || io_uring_sq_ready(&ring_) > 0 ||
         (IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_TASKRUN) != 0;
}

void UringBackend::Cancel(uint64_t id) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_cancel64(sqe, id, 0);
  sqe->user_data = kCancelId;
}

void UringBackend::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then a wake-up is due anyway.
  (void)!write(wake_fd_.get(), &one, sizeof one);
}

void UringBackend::RegisterFile(uint32_t slot, int fd) {
  if (slot >= registered_files_.size()) return;
  const int result = io_uring_register_files_update(&ring_, slot, &fd, 1);
  // Where the kernel refuses, operations on this file go by descriptor.
  registered_files_[slot] = fd >= 0 && result == 1;
}

}  // namespace

Status CreateUringBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  auto made = std::make_unique<UringBackend>();
  Status status = made->Init(options);
  if (status.ok()) *backend = std::move(made);
  return status;
}

}  // namespace ringbolt

#else  // !RINGBOLT_HAVE_LIBURING

namespace ringbolt {

Status CreateUringBackend(const BackendOptions& /*options*/,
                          std::unique_ptr<Backend>* /*backend*/) {
  return Status::Error(ENOSYS, "io_uring_setup",
                       "this build has no io_uring: liburing-dev was missing when it was compiled");
}

}  // namespace ringbolt

#endif
