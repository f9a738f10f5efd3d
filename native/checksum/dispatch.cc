#include "checksum/dispatch.h"

#include <cstdlib>
#include <string_view>

#include "checksum/cpu_features.h"

namespace ringbolt {

namespace {

// Another architecture's kernels are known, so that they can be named, but not linked.
#if defined(__x86_64__)
constexpr const CrcKernel* kSse42 = &kCrcSse42;
constexpr const CrcKernel* kAvx512 = &kCrcAvx512;
constexpr const CrcKernel* kArmv8 = nullptr;
constexpr const Xxh3Kernel* kAvx2Hash = &kXxh3Avx2;
constexpr const Xxh3Kernel* kAvx512Hash = &kXxh3Avx512;
#else
constexpr const CrcKernel* kSse42 = nullptr;
constexpr const CrcKernel* kAvx512 = nullptr;
constexpr const Xxh3Kernel* kAvx2Hash = nullptr;
constexpr const Xxh3Kernel* kAvx512Hash = nullptr;
#if defined(__aarch64__)
constexpr const CrcKernel* kArmv8 = &kCrcArmv8;
#else
constexpr const CrcKernel* kArmv8 = nullptr;
#endif
#endif

const CpuFeatures kCpu = ReadCpuFeatures();

const char* NeedsXxhash(const char* why_not) {
  return RINGBOLT_HAVE_XXHASH ? why_not : "built without xxHash";
}

const KernelInfo<CrcKernel> kCrcKernels[] = {
    {SimdLevel::kPortable, "portable", &kCrcPortable, nullptr},
    {SimdLevel::kSse42, "sse42", kSse42, WhyNotSse42(kCpu)},
    {SimdLevel::kAvx512, "avx512", kAvx512, WhyNotAvx512(kCpu)},
    {SimdLevel::kArmv8, "armv8", kArmv8, WhyNotArmv8(kCpu)},
};

const KernelInfo<Xxh3Kernel> kXxh3Kernels[] = {
    {SimdLevel::kPortable, "baseline", &kXxh3Baseline, NeedsXxhash(nullptr)},
    {SimdLevel::kAvx512, "avx2", kAvx2Hash, NeedsXxhash(WhyNotAvx2(kCpu))},
    {SimdLevel::kAvx512, "avx512", kAvx512Hash, NeedsXxhash(WhyNotAvx512(kCpu))},
};

template <typename Kernel>
const KernelInfo<Kernel>* Fastest(std::span<const KernelInfo<Kernel>> kernels, SimdLevel highest) {
  const KernelInfo<Kernel>* fastest = nullptr;
  for (const auto& kernel : kernels) {
    if (kernel.why_not == nullptr && kernel.level <= highest) fastest = &kernel;
  }
  return fastest;
}

}  // namespace

CrcSelection SelectCrcKernel(std::span<const KernelInfo<CrcKernel>> kernels, const char* forced) {
  constexpr SimdLevel kAny = SimdLevel::kArmv8;
  if (forced == nullptr || *forced == '\0') return {Fastest(kernels, kAny), kAny, nullptr};
  for (const auto& kernel : kernels) {
    if (std::string_view(forced) != kernel.name) continue;
    return {Fastest(kernels, kernel.level), kernel.level, kernel.why_not};
  }
  return {Fastest(kernels, kAny), kAny, "RINGBOLT_SIMD is none of portable, sse42, avx512, armv8"};
}

namespace {

// In this order: within one file, initialisation is from top to bottom.
const CrcSelection kCrc = SelectCrcKernel(kCrcKernels, std::getenv("RINGBOLT_SIMD"));
const KernelInfo<Xxh3Kernel>* const kXxh3 = Fastest<Xxh3Kernel>(kXxh3Kernels, kCrc.highest);

}  // namespace

std::span<const KernelInfo<CrcKernel>> CrcKernels() { return kCrcKernels; }
std::span<const KernelInfo<Xxh3Kernel>> Xxh3Kernels() { return kXxh3Kernels; }
const KernelInfo<CrcKernel>& ChosenCrcKernel() { return *kCrc.chosen; }
const KernelInfo<Xxh3Kernel>* ChosenXxh3Kernel() { return kXxh3; }
const char* SimdNote() { return kCrc.note; }

}  // namespace ringbolt
