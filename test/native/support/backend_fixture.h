// Every backend that there is, one at a time, with a file to work on. A test case runs on all of
// them through BACKEND_TEST; one that this machine forbids is skipped, and its reason printed.

#ifndef RINGBOLT_TEST_SUPPORT_BACKEND_FIXTURE_H_
#define RINGBOLT_TEST_SUPPORT_BACKEND_FIXTURE_H_

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/align.h"
#include "io/backend.h"
#include "support/temp_file.h"

namespace ringbolt::test {

// False, with the reason printed, where this machine has no io_uring.
bool HaveUring();

// As on a kernel that lacks what it goes without.
struct BackendVariant {
  const char* name;
  std::vector<std::string> without;
};

using BackendFactory = Status (*)(const BackendOptions&, std::unique_ptr<Backend>*);

struct Uring {
  static const std::vector<BackendVariant>& Variants();
  static Status Create(const BackendOptions& options, std::unique_ptr<Backend>* backend);
};
struct Aio {
  static const std::vector<BackendVariant>& Variants();
  static Status Create(const BackendOptions& options, std::unique_ptr<Backend>* backend);
};
struct Threads {
  static const std::vector<BackendVariant>& Variants();
  static Status Create(const BackendOptions& options, std::unique_ptr<Backend>* backend);
};

Status CreateLate(BackendFactory inner, const BackendOptions& options,
                  std::unique_ptr<Backend>* backend);

// Around another: results that come late, and in another order.
template <typename Inner>
struct Late {
  static const std::vector<BackendVariant>& Variants() { return Threads::Variants(); }
  static Status Create(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
    return CreateLate(Inner::Create, options, backend);
  }
};

struct Buffer {
  explicit Buffer(size_t bytes)
      : data(static_cast<uint8_t*>(std::aligned_alloc(kPageBytes, AlignUp(bytes, kPageBytes)))) {}
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  uint8_t* const data;
};

class BackendFixture {
 public:
  static constexpr uint32_t kInFlight = 32;
  static constexpr size_t kFileBytes = size_t{1} << 20;
  static constexpr uint32_t kFileSlot = 3;

  BackendFixture(BackendFactory create, const BackendVariant& variant,
                 uint32_t in_flight = kInFlight);
  ~BackendFixture();
  BackendFixture(const BackendFixture&) = delete;
  BackendFixture& operator=(const BackendFixture&) = delete;

  [[nodiscard]] bool available() const;
  Backend& backend() { return *backend_; }
  void DestroyBackend() { backend_.reset(); }

  // On the file, which is open for direct I/O.
  [[nodiscard]] BackendOp Op(OpKind kind, uint64_t id, uint64_t offset = 0, void* data = nullptr,
                             uint32_t length = 0) const;
  // On the same file through the page cache.
  [[nodiscard]] BackendOp BufferedOp(OpKind kind, uint64_t id, uint64_t offset = 0,
                                     void* data = nullptr, uint32_t length = 0) const;

  void Submit(const std::vector<BackendOp>& ops);
  std::vector<BackendResult> Collect(size_t count);
  int32_t Run(const BackendOp& op);

 private:
  TempFile file_{kFileBytes};
  std::unique_ptr<Backend> backend_;
  Status status_;
  int direct_fd_ = -1;
  int buffered_fd_ = -1;
};

template <typename TestBackend, typename Body>
void OnEveryVariant(Body body, uint32_t in_flight = BackendFixture::kInFlight) {
  for (const BackendVariant& variant : TestBackend::Variants()) {
    SUBCASE(variant.name) {
      BackendFixture fixture(TestBackend::Create, variant, in_flight);
      if (fixture.available()) body(fixture);
    }
  }
}

}  // namespace ringbolt::test

TYPE_TO_STRING_AS("io_uring", ringbolt::test::Uring);
TYPE_TO_STRING_AS("aio", ringbolt::test::Aio);
TYPE_TO_STRING_AS("threads", ringbolt::test::Threads);
TYPE_TO_STRING_AS("late io_uring", ringbolt::test::Late<ringbolt::test::Uring>);
TYPE_TO_STRING_AS("late aio", ringbolt::test::Late<ringbolt::test::Aio>);
TYPE_TO_STRING_AS("late threads", ringbolt::test::Late<ringbolt::test::Threads>);

#define BACKEND_TEST(name)                                                                 \
  TEST_CASE_TEMPLATE(name, TestBackend, ringbolt::test::Uring, ringbolt::test::Aio,        \
                     ringbolt::test::Threads, ringbolt::test::Late<ringbolt::test::Uring>, \
                     ringbolt::test::Late<ringbolt::test::Aio>,                            \
                     ringbolt::test::Late<ringbolt::test::Threads>)

#endif  // RINGBOLT_TEST_SUPPORT_BACKEND_FIXTURE_H_
