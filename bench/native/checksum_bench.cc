// How fast the checksum kernels are on one core, beside ISA-L, memcpy and plain reading.
//
//   checksum_bench [rounds] [milliseconds] [text]
//
// Defaults: 15 rounds, 4 ms for each figure in each, and not only the tables with this text in
// their names.
//
// All contenders of a table run one after the other in every round, so that whatever else the
// machine does meets all of them; a ratio is the median of the rounds' own ratios. GB are 10^9
// bytes.

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "checksum/checksum.h"
#include "checksum/dispatch.h"

#if RINGBOLT_HAVE_ISAL
#include <isa-l/crc.h>
#include <isa-l/crc64.h>
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ringbolt {

namespace {

volatile uint64_t g_sink;  // so that no result is computed for nothing

// Given a piece, and where a copy of it may go.
using Work = std::function<uint64_t(const uint8_t* piece, uint8_t* to, size_t bytes)>;

struct Contender {
  std::string name;
  Work work;
  std::vector<double> gbps = {};  // one a round
};

struct Table {
  std::string name;
  size_t piece_bytes;
  size_t span_bytes;  // pieces step through this much, over and over
  std::vector<Contender> contenders;
};

// `name` must reach `at_least` of the speed of `than`.
struct Target {
  std::string table;
  std::string name;
  std::string than;
  double at_least;
};

struct Options {
  int rounds = 15;
  int milliseconds = 4;
  std::string only = {};
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double MedianRatio(const Contender& a, const Contender& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.gbps.size(); ++i) ratios.push_back(a.gbps[i] / b.gbps[i]);
  return Median(ratios);
}

// Memory
// -------------------------------------------------------------------------------------------

constexpr size_t kFromMemoryBytes = size_t{256} << 20;

struct Areas {
  std::vector<uint8_t> from = std::vector<uint8_t>(kFromMemoryBytes + 64);
  std::vector<uint8_t> to = std::vector<uint8_t>(kFromMemoryBytes + 64, 1);

  Areas() {
    uint32_t x = 1;
    for (auto& byte : from) byte = static_cast<uint8_t>((x = (x * 1664525) + 1013904223) >> 24);
  }
  static uint8_t* Aligned(std::vector<uint8_t>& area) {
    return area.data() + (-reinterpret_cast<uintptr_t>(area.data()) % 64);
  }
};

// One figure.
double MeasureGbps(const Table& table, const Work& work, Areas& areas, int milliseconds) {
  static size_t offset = 0;  // goes on where the last figure ended: what it left cached is far away
  const uint8_t* from = Areas::Aligned(areas.from);
  uint8_t* to = Areas::Aligned(areas.to);
  const size_t pieces_at_once = std::max<size_t>(1, (size_t{1} << 20) / table.piece_bytes);
  size_t bytes = 0;
  uint64_t sum = 0;
  const uint64_t begin_ns = NowNs();
  uint64_t end_ns = begin_ns;
  while (end_ns < begin_ns + (static_cast<uint64_t>(milliseconds) * 1'000'000)) {
    for (size_t i = 0; i < pieces_at_once; ++i) {
      if (offset + table.piece_bytes > table.span_bytes) offset = 0;
      sum += work(from + offset, to + offset, table.piece_bytes);
      offset += table.piece_bytes;
      bytes += table.piece_bytes;
    }
    end_ns = NowNs();
  }
  g_sink = g_sink + sum;
  return static_cast<double>(bytes) / static_cast<double>(end_ns - begin_ns);
}

void Measure(Table& table, Areas& areas, const Options& options) {
  for (int round = -1; round < options.rounds; ++round) {  // the first warms up
    for (auto& contender : table.contenders) {
      const double gbps = MeasureGbps(table, contender.work, areas, options.milliseconds);
      if (round >= 0) contender.gbps.push_back(gbps);
    }
  }
}

// Contenders
// ---------------------------------------------------------------------------------------

#if defined(__x86_64__)

__attribute__((target("avx512f"))) uint64_t SumWide(const uint8_t* p, size_t bytes) {
  __m512i sums[4] = {};
  for (size_t at = 0; at + 256 <= bytes; at += 256) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
      sums[i] = _mm512_add_epi64(sums[i], _mm512_loadu_si512(p + at + (64 * i)));
    }
  }
  const __m512i low = _mm512_add_epi64(sums[0], sums[1]);
  const __m512i high = _mm512_add_epi64(sums[2], sums[3]);
  uint64_t words[8];
  _mm512_storeu_si512(words, _mm512_add_epi64(low, high));
  return words[0] + words[1] + words[2] + words[3] + words[4] + words[5] + words[6] + words[7];
}

__attribute__((target("sse4.2"))) uint64_t OneStreamCrc32c(const uint8_t* p, size_t bytes) {
  uint64_t crc = 0xffffffff;
  for (; bytes >= 8; p += 8, bytes -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  return ~crc;
}

#endif

bool Has(const char* name) {
  return std::ranges::any_of(CrcKernels(), [&](const auto& info) {
    return std::string(info.name) == name && info.why_not == nullptr;
  });
}

void AddPeers(std::vector<Contender>& to) {
#if RINGBOLT_HAVE_ISAL
  to.push_back({"ISA-L crc32_iscsi", [](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
                  return crc32_iscsi(const_cast<uint8_t*>(p), static_cast<int>(bytes), 0);
                }});
  to.push_back({"ISA-L crc64_ecma", [](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
                  return crc64_ecma_refl(0, p, bytes);
                }});
#endif
#if defined(__x86_64__)
  if (Has("sse42")) {
    to.push_back({"crc32, one stream", [](const uint8_t* p, uint8_t*, size_t bytes) {
                    return OneStreamCrc32c(p, bytes);
                  }});
  }
  if (Has("avx512")) {
    to.push_back({"reading (AVX-512 sum)",
                  [](const uint8_t* p, uint8_t*, size_t bytes) { return SumWide(p, bytes); }});
  }
#endif
}

std::vector<Contender> Reading() {
  std::vector<Contender> all;
  for (const auto& info : CrcKernels()) {
    if (info.why_not != nullptr) continue;
    const CrcKernel* kernel = info.kernel;
    const std::string name = info.name;
    all.push_back(
        {"crc32c " + name, [kernel](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
           return kernel->crc32c(p, bytes, 0);
         }});
    all.push_back({"crc64nvme " + name, [kernel](const uint8_t* p, uint8_t*, size_t bytes) {
                     return kernel->crc64nvme(p, bytes, 0);
                   }});
  }
  for (const auto& info : Xxh3Kernels()) {
    if (info.why_not != nullptr) continue;
    const Xxh3Kernel* kernel = info.kernel;
    all.push_back(
        {std::string("xxh3 ") + info.name,
         [kernel](const uint8_t* p, uint8_t*, size_t bytes) { return kernel->hash(p, bytes, 0); }});
  }
  AddPeers(all);
  return all;
}

std::vector<Contender> Copying() {
  return {{"memcpy",
           [](const uint8_t* p, uint8_t* to, size_t bytes) -> uint64_t {
             std::memcpy(to, p, bytes);
             return *to;
           }},
          {"copy and crc32c",
           [](const uint8_t* p, uint8_t* to, size_t bytes) -> uint64_t {
             return CopyCrc32c(to, p, bytes);
           }},
          {"copy and crc64nvme",
           [](const uint8_t* p, uint8_t* to, size_t bytes) { return CopyCrc64Nvme(to, p, bytes); }},
          {"memcpy, then crc32c", [](const uint8_t* p, uint8_t* to, size_t bytes) -> uint64_t {
             std::memcpy(to, p, bytes);
             return Crc32c(to, bytes);
           }}};
}

std::vector<Contender> Blocks(size_t block_bytes) {
  static std::array<uint32_t, 4096> crc32s;
  static std::array<uint64_t, 4096> crc64s;
  return {
      {"crc32c, one call",
       [=](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
         BlockCrc32c(p, block_bytes, bytes / block_bytes, crc32s.data());
         return crc32s[0];
       }},
      {"crc32c, a call a block",
       [=](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
         for (size_t i = 0; i < bytes / block_bytes; ++i) {
           crc32s[i] = Crc32c(p + (i * block_bytes), block_bytes, crc32s[i]);
         }
         return crc32s[0];
       }},
      {"crc64nvme, one call",
       [=](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
         BlockCrc64Nvme(p, block_bytes, bytes / block_bytes, crc64s.data());
         return crc64s[0];
       }},
      {"crc64nvme, a call a block",
       [=](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
         for (size_t i = 0; i < bytes / block_bytes; ++i) {
           crc64s[i] = Crc64Nvme(p + (i * block_bytes), block_bytes, crc64s[i]);
         }
         return crc64s[0];
       }},
#if RINGBOLT_HAVE_ISAL
      {"ISA-L crc32_iscsi, a call a block",
       [=](const uint8_t* p, uint8_t*, size_t bytes) -> uint64_t {
         for (size_t i = 0; i < bytes / block_bytes; ++i) {
           crc32s[i] = crc32_iscsi(const_cast<uint8_t*>(p) + (i * block_bytes),
                                   static_cast<int>(block_bytes), crc32s[i]);
         }
         return crc32s[0];
       }},
#endif
  };
}

// Report
// -------------------------------------------------------------------------------------------

void PrintMachine(const Options& options) {
  utsname system{};
  uname(&system);
  std::string cpu = "unknown CPU";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      cpu = line.substr(line.find(':') + 2);
      break;
    }
  }
  double load[1] = {};
  getloadavg(load, 1);
  char date[32];
  const time_t now = time(nullptr);
  std::strftime(date, sizeof(date), "%F %R UTC", gmtime(&now));
  std::printf("%s, %s %s, g++/clang " __VERSION__ ", load %.2f, %s, %d rounds of %d ms\n",
              cpu.c_str(), system.sysname, system.release, load[0], date, options.rounds,
              options.milliseconds);
  std::printf("chosen: %s, XXH3 %s\n", ChosenCrcKernel().name,
              ChosenXxh3Kernel() == nullptr ? "none" : ChosenXxh3Kernel()->name);
  for (const auto& kernel : CrcKernels()) {
    if (kernel.why_not != nullptr) std::printf("not %s: %s\n", kernel.name, kernel.why_not);
  }
  if (load[0] > 0.5) std::printf("WARNING: something else is running: expect a wide spread\n");
}

void Print(const Table& table) {
  std::printf("\n%-40s %8s   %s\n", table.name.c_str(), "GB/s", "lowest .. highest");
  for (const auto& contender : table.contenders) {
    const auto [low, high] = std::ranges::minmax(contender.gbps);
    std::printf("  %-38s %8.1f   %.1f .. %.1f\n", contender.name.c_str(), Median(contender.gbps),
                low, high);
  }
}

const Contender* Find(const std::vector<Table>& tables, const std::string& table,
                      const std::string& name) {
  for (const auto& candidate : tables) {
    if (candidate.name != table) continue;
    for (const auto& contender : candidate.contenders) {
      if (contender.name == name) return &contender;
    }
  }
  return nullptr;
}

void Print(const std::vector<Table>& tables, const std::vector<Target>& targets) {
  std::printf("\n");
  for (const auto& target : targets) {
    const Contender* one = Find(tables, target.table, target.name);
    const Contender* other = Find(tables, target.table, target.than);
    std::printf("%s: %s / %s: ", target.table.c_str(), target.name.c_str(), target.than.c_str());
    if (one == nullptr || other == nullptr) {
      std::printf("not measured here\n");
      continue;
    }
    const double ratio = MedianRatio(*one, *other);
    std::printf("%.2f (at least %.2f) %s\n", ratio, target.at_least,
                ratio >= target.at_least ? "met" : "MISSED");
  }
}

constexpr const char* kL1 = "4 KiB in L1";
constexpr const char* kStepping = "64 KiB stepping through 4 MiB";
constexpr const char* kMemory = "1 MiB from memory";
constexpr const char* kCopyMemory = "copying 1 MiB from memory to memory";
constexpr const char* kBlocks512 = "32 KiB in L1, blocks of 512 bytes";

std::vector<Target> Targets() {
  std::vector<Target> targets;
  for (const std::string crc : {"crc32c avx512", "crc64nvme avx512"}) {
    targets.push_back({kL1, crc, "ISA-L crc32_iscsi", 0.95});
    targets.push_back({kStepping, crc, "reading (AVX-512 sum)", 0.95});
    targets.push_back({kMemory, crc, "ISA-L crc32_iscsi", 1});
  }
  targets.push_back({kL1, "crc32c sse42", "crc32, one stream", 2});
  targets.push_back({kL1, "crc64nvme sse42", "crc32, one stream", 2});
  targets.push_back({kCopyMemory, "copy and crc32c", "memcpy", 1 / 1.25});
  targets.push_back({kCopyMemory, "copy and crc64nvme", "memcpy", 1 / 1.25});
  targets.push_back({kBlocks512, "crc32c, one call", "crc32c, a call a block", 1});
  return targets;
}

void Run(const Options& options) {
  PrintMachine(options);
  constexpr size_t kKiB = 1024;
  constexpr size_t kMiB = 1024 * kKiB;
  std::vector<Table> tables = {
      {"16 bytes in L1", 16, 4 * kKiB, Reading()},
      {"100 bytes in L1", 100, 4 * kKiB, Reading()},
      {"512 bytes in L1", 512, 4 * kKiB, Reading()},
      {kL1, 4 * kKiB, 4 * kKiB, Reading()},
      {kStepping, 64 * kKiB, 4 * kMiB, Reading()},
      {kMemory, kMiB, kFromMemoryBytes, Reading()},
      {kBlocks512, 32 * kKiB, 32 * kKiB, Blocks(512)},
      {"32 KiB in L1, blocks of 4 KiB", 32 * kKiB, 32 * kKiB, Blocks(4 * kKiB)},
      {"1 MiB from memory, blocks of 512 bytes", kMiB, kFromMemoryBytes, Blocks(512)},
      {"1 MiB from memory, blocks of 4 KiB", kMiB, kFromMemoryBytes, Blocks(4 * kKiB)},
      {"copying 4 KiB in L1", 4 * kKiB, 8 * kKiB, Copying()},
      {"copying 64 KiB stepping through 512 KiB", 64 * kKiB, 512 * kKiB, Copying()},
      {kCopyMemory, kMiB, kFromMemoryBytes, Copying()},
  };
  Areas areas;
  std::erase_if(tables, [&](const Table& table) {
    return table.name.find(options.only) == std::string::npos;
  });
  for (auto& table : tables) {
    Measure(table, areas, options);
    Print(table);
  }
  Print(tables, Targets());
}

}  // namespace

}  // namespace ringbolt

int main(int argc, char** argv) {
  ringbolt::Options options;
  if (argc > 1) options.rounds = std::max(1, std::atoi(argv[1]));
  if (argc > 2) options.milliseconds = std::max(1, std::atoi(argv[2]));
  if (argc > 3) options.only = argv[3];
  ringbolt::Run(options);
}
