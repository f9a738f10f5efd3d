// What the CPU has and the operating system lets us use of it. An instruction set that is missing
// is missing for a reason, which ends up in front of a person.

#ifndef RINGBOLT_CHECKSUM_CPU_FEATURES_H_
#define RINGBOLT_CHECKSUM_CPU_FEATURES_H_

#include <cstdint>

namespace ringbolt {

// The words in which x86-64 and arm64 say what they have; zero where there is no such word.
struct CpuFeatures {
  uint64_t leaf1_ecx = 0;  // CPUID
  uint64_t leaf7_ebx = 0;
  uint64_t leaf7_ecx = 0;
  uint64_t xcr0 = 0;   // XGETBV: the registers that the kernel saves for us
  uint64_t hwcap = 0;  // arm64: getauxval(AT_HWCAP)
};

// Of this CPU.
CpuFeatures ReadCpuFeatures();

// Null if a CPU with these features runs such code, else the reason why it does not, as a string
// that lives for ever. Says no wherever the code was not built for this architecture.
const char* WhyNotSse42(const CpuFeatures& cpu);
const char* WhyNotAvx2(const CpuFeatures& cpu);
const char* WhyNotAvx512(const CpuFeatures& cpu);
const char* WhyNotArmv8(const CpuFeatures& cpu);

}  // namespace ringbolt

#endif  // RINGBOLT_CHECKSUM_CPU_FEATURES_H_
