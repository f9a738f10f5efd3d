// Shows which kernel is chosen, and that every one that is not says why.

#include "checksum/dispatch.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include "checksum/cpu_features.h"

namespace ringbolt {

namespace {

using Info = KernelInfo<CrcKernel>;

// A machine whose best is sse42.
const Info kKernels[] = {
    {SimdLevel::kPortable, "portable", &kCrcPortable, nullptr},
    {SimdLevel::kSse42, "sse42", &kCrcPortable, nullptr},
    {SimdLevel::kAvx512, "avx512", &kCrcPortable, "the CPU has no VPCLMULQDQ"},
    {SimdLevel::kArmv8, "armv8", nullptr, "not an arm64 CPU"},
};

std::string Chosen(const char* forced) { return SelectCrcKernel(kKernels, forced).chosen->name; }

std::string Note(const char* forced) {
  const char* note = SelectCrcKernel(kKernels, forced).note;
  return note == nullptr ? "" : note;
}

std::string Text(const char* reason) { return reason == nullptr ? "" : reason; }

}  // namespace

TEST_CASE("dispatch: the fastest kernel that the machine has, unless a lower one is forced") {
  CHECK(Chosen(nullptr) == "sse42");
  CHECK(Chosen("") == "sse42");
  CHECK(Chosen("sse42") == "sse42");
  CHECK(Chosen("portable") == "portable");
  CHECK(Note("portable").empty());
}

TEST_CASE("dispatch: a level that cannot be had is said, and the next one below runs") {
  CHECK(Chosen("avx512") == "sse42");
  CHECK(Note("avx512") == "the CPU has no VPCLMULQDQ");
  CHECK(Chosen("armv8") == "sse42");
  CHECK(Note("armv8") == "not an arm64 CPU");
  CHECK(Chosen("SSE42") == "sse42");
  CHECK(Note("SSE42") == "RINGBOLT_SIMD is none of portable, sse42, avx512, armv8");
}

TEST_CASE("dispatch: what runs here is usable, and what is not has a reason") {
  CHECK(ChosenCrcKernel().why_not == nullptr);
  REQUIRE(ChosenCrcKernel().kernel != nullptr);
  CHECK(CrcKernels().size() == 4);
  for (const auto& info : CrcKernels()) {
    std::printf("%s: %s\n", info.name, info.why_not == nullptr ? "usable" : info.why_not);
    CHECK((info.kernel != nullptr || info.why_not != nullptr));
  }
  for (const auto& info : Xxh3Kernels()) {
    std::printf("XXH3 %s: %s\n", info.name, info.why_not == nullptr ? "usable" : info.why_not);
  }
}

#if defined(__x86_64__)

TEST_CASE(
    "dispatch: a CPU is asked for all that a kernel needs, and the system for its registers") {
  CpuFeatures cpu;
  CHECK(Text(WhyNotSse42(cpu)) == "the CPU has no SSE4.2");
  CHECK(Text(WhyNotAvx512(cpu)) == "the CPU has no SSE4.2");
  cpu.leaf1_ecx = 1U << 20;
  CHECK(Text(WhyNotSse42(cpu)) == "the CPU has no PCLMULQDQ");
  cpu.leaf1_ecx |= 1U << 1;
  CHECK(WhyNotSse42(cpu) == nullptr);
  CHECK(Text(WhyNotAvx2(cpu)) == "the CPU has no AVX2");
  cpu.leaf7_ebx = 1U << 5;
  CHECK(Text(WhyNotAvx2(cpu)) == "the operating system does not save YMM registers");
  cpu.xcr0 = 0x07;
  CHECK(WhyNotAvx2(cpu) == nullptr);
  // Skylake: AVX-512 without the carry-less multiplication.
  cpu.leaf7_ebx |= 1U << 16 | 1U << 30 | 1U << 31;
  CHECK(Text(WhyNotAvx512(cpu)) == "the CPU has no AVX512_VBMI");
  cpu.leaf7_ecx = 1U << 1;
  CHECK(Text(WhyNotAvx512(cpu)) == "the CPU has no VPCLMULQDQ");
  cpu.leaf7_ecx |= 1U << 10;
  CHECK(Text(WhyNotAvx512(cpu)) == "the operating system does not save ZMM registers");
  cpu.xcr0 = 0xe7;
  CHECK(WhyNotAvx512(cpu) == nullptr);
  CHECK(Text(WhyNotArmv8(cpu)) == "not an arm64 CPU");
}

#elif defined(__aarch64__)

TEST_CASE("dispatch: a CPU is asked for all that a kernel needs") {
  CpuFeatures cpu;
  CHECK(Text(WhyNotArmv8(cpu)) == "the CPU has no CRC32");
  cpu.hwcap = ~uint64_t{0};
  CHECK(WhyNotArmv8(cpu) == nullptr);
  CHECK(Text(WhyNotSse42(cpu)) == "not an x86-64 CPU");
}

#endif

}  // namespace ringbolt
