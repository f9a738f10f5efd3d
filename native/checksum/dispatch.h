// Which kernel runs, out of those that this build has, and why not a better one. Chosen once,
// before main() or when the addon is loaded; after that, constants.

#ifndef RINGBOLT_CHECKSUM_DISPATCH_H_
#define RINGBOLT_CHECKSUM_DISPATCH_H_

#include <cstdint>
#include <span>

#include "checksum/crc_kernel.h"
#include "checksum/xxh3_kernel.h"

namespace ringbolt {

// Lowest first. RINGBOLT_SIMD, an environment variable, names the highest that may be chosen.
enum class SimdLevel : uint8_t { kPortable, kSse42, kAvx512, kArmv8 };

// A kernel that somebody might ask for. All strings live for ever.
template <typename Kernel>
struct KernelInfo {
  SimdLevel level;       // the lowest level at which it may be chosen
  const char* name;      // as RINGBOLT_SIMD spells it; XXH3 has "baseline", "avx2" and "avx512"
  const Kernel* kernel;  // null if it is not of this architecture
  const char* why_not;   // null if this machine can run it, else the reason
};

// Every kernel there is, those that cannot run here as well, from the slowest to the fastest.
std::span<const KernelInfo<CrcKernel>> CrcKernels();
std::span<const KernelInfo<Xxh3Kernel>> Xxh3Kernels();

// The ones in use. Null for XXH3 in a build without xxHash.
const KernelInfo<CrcKernel>& ChosenCrcKernel();
const KernelInfo<Xxh3Kernel>* ChosenXxh3Kernel();

// Null, or why RINGBOLT_SIMD was not obeyed.
const char* SimdNote();

// The choice itself. `forced` is the value of RINGBOLT_SIMD, or null.
struct CrcSelection {
  const KernelInfo<CrcKernel>* chosen;
  SimdLevel highest;  // that may be chosen
  const char* note;   // null, or why `forced` was not obeyed
};
CrcSelection SelectCrcKernel(std::span<const KernelInfo<CrcKernel>> kernels, const char* forced);

}  // namespace ringbolt

#endif  // RINGBOLT_CHECKSUM_DISPATCH_H_
