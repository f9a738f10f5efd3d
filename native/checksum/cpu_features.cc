#include "checksum/cpu_features.h"

#include <span>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace ringbolt {

namespace {

struct Need {
  uint64_t CpuFeatures::* word;
  uint64_t mask;
  const char* why_not;
};

const char* FirstMissing(const CpuFeatures& cpu, std::span<const Need> needs) {
  for (const auto& need : needs) {
    if ((cpu.*need.word & need.mask) != need.mask) return need.why_not;
  }
  return nullptr;
}

}  // namespace

#if defined(__x86_64__)

namespace {

// The bits of XCR0: SSE and AVX state; and mask registers with both halves of the ZMM registers.
constexpr uint64_t kYmmState = 0x06;
constexpr uint64_t kZmmState = 0xe6;

constexpr Need kSse42Needs[] = {
    {&CpuFeatures::leaf1_ecx, 1U << 20, "the CPU has no SSE4.2"},
    {&CpuFeatures::leaf1_ecx, 1U << 1, "the CPU has no PCLMULQDQ"},
};
constexpr Need kAvx2Needs[] = {
    {&CpuFeatures::leaf7_ebx, 1U << 5, "the CPU has no AVX2"},
    {&CpuFeatures::xcr0, kYmmState, "the operating system does not save YMM registers"},
};
constexpr Need kAvx512Needs[] = {
    {&CpuFeatures::leaf7_ebx, 1U << 16, "the CPU has no AVX512F"},
    {&CpuFeatures::leaf7_ebx, 1U << 30, "the CPU has no AVX512BW"},
    {&CpuFeatures::leaf7_ebx, 1U << 31, "the CPU has no AVX512VL"},
    {&CpuFeatures::leaf7_ecx, 1U << 1, "the CPU has no AVX512_VBMI"},
    {&CpuFeatures::leaf7_ecx, 1U << 10, "the CPU has no VPCLMULQDQ"},
    {&CpuFeatures::xcr0, kZmmState, "the operating system does not save ZMM registers"},
};

uint64_t ReadXcr0() {
  uint32_t low;
  uint32_t high;
  // The intrinsic would need -mxsave for this whole file.
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

}  // namespace

CpuFeatures ReadCpuFeatures() {
  constexpr uint32_t kOsXsave = 1U << 27;  // XGETBV is an invalid instruction without it
  CpuFeatures cpu;
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) cpu.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    cpu.leaf7_ebx = ebx;
    cpu.leaf7_ecx = ecx;
  }
  if ((cpu.leaf1_ecx & kOsXsave) != 0) cpu.xcr0 = ReadXcr0();
  return cpu;
}

const char* WhyNotSse42(const CpuFeatures& cpu) { return FirstMissing(cpu, kSse42Needs); }

const char* WhyNotAvx2(const CpuFeatures& cpu) { return FirstMissing(cpu, kAvx2Needs); }

const char* WhyNotAvx512(const CpuFeatures& cpu) {
  const char* missing = WhyNotSse42(cpu);
  return missing != nullptr ? missing : FirstMissing(cpu, kAvx512Needs);
}

const char* WhyNotArmv8(const CpuFeatures& /*cpu*/) { return "not an arm64 CPU"; }

#else

namespace {

constexpr const char* kNotX64 = "not an x86-64 CPU";

}  // namespace

const char* WhyNotSse42(const CpuFeatures& /*cpu*/) { return kNotX64; }
const char* WhyNotAvx2(const CpuFeatures& /*cpu*/) { return kNotX64; }
const char* WhyNotAvx512(const CpuFeatures& /*cpu*/) { return kNotX64; }

#if defined(__aarch64__)

CpuFeatures ReadCpuFeatures() {
  CpuFeatures cpu;
  cpu.hwcap = getauxval(AT_HWCAP);
  return cpu;
}

const char* WhyNotArmv8(const CpuFeatures& cpu) {
  static constexpr Need kNeeds[] = {
      {&CpuFeatures::hwcap, HWCAP_CRC32, "the CPU has no CRC32"},
      {&CpuFeatures::hwcap, HWCAP_PMULL, "the CPU has no PMULL"},
  };
  return FirstMissing(cpu, kNeeds);
}

#else

CpuFeatures ReadCpuFeatures() { return {}; }

const char* WhyNotArmv8(const CpuFeatures& /*cpu*/) { return "not an arm64 CPU"; }

#endif

#endif

}  // namespace ringbolt
