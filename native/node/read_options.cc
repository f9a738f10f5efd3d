#include "node/read_options.h"

#include <bit>
#include <string>
#include <vector>

#include "base/align.h"
#include "memory/buffer_pool.h"
#include "node/convert.h"
#include "topology/affinity.h"

namespace ringbolt {

namespace {

constexpr uint32_t kMaxQueues = 256;
constexpr uint32_t kMaxOpenFiles = 65536;
constexpr double kMaxPoolBytes = 1099511627776.0;  // 1 TiB
constexpr uint32_t kMaxSlabBytes = 64U << 20;
constexpr uint32_t kMaxPoolParts = BufferPool::kMaxParts;
constexpr double kMaxNode = 1023;

// Absent: none.
bool ReadFaultPlan(const Napi::Object& options, FaultPlan* plan) {
  const Napi::Value value = options.Get("faults");
  if (value.IsEmpty() || options.Env().IsExceptionPending()) return false;
  if (value.IsUndefined()) return true;
  if (!value.IsObject()) {
    Napi::TypeError::New(options.Env(), "faults must be an object").ThrowAsJavaScriptException();
    return false;
  }
  const auto from = value.As<Napi::Object>();
  double seed = 0;
  const bool good = ReadField(from, "seed", 1, kMaxSafeInteger, &seed) &&
                    ReadField(from, "eintr", 0, kAllOperations, &plan->eintr) &&
                    ReadField(from, "eagain", 0, kAllOperations, &plan->eagain) &&
                    ReadField(from, "eio", 0, kAllOperations, &plan->eio) &&
                    ReadField(from, "enospc", 0, kAllOperations, &plan->enospc) &&
                    ReadField(from, "erofs", 0, kAllOperations, &plan->erofs) &&
                    ReadField(from, "shortTransfers", 0, kAllOperations, &plan->short_transfers) &&
                    ReadField(from, "delays", 0, kAllOperations, &plan->delays) &&
                    ReadField(from, "lostCancels", 0, kAllOperations, &plan->lost_cancels);
  plan->seed = static_cast<uint64_t>(seed);
  return good;
}

// [{ node, bytes }]; node -1: none.
bool ReadPoolParts(const Napi::Object& options, std::vector<ArenaPart>* parts) {
  const Napi::Value value = options.Get("poolParts");
  if (value.IsEmpty() || options.Env().IsExceptionPending()) return false;
  const uint32_t count = value.IsArray() ? value.As<Napi::Array>().Length() : 0;
  if (count < 1 || count > kMaxPoolParts) {
    Napi::TypeError::New(options.Env(), "poolParts must be an array of parts")
        .ThrowAsJavaScriptException();
    return false;
  }
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Value element = value.As<Napi::Array>().Get(i);
    if (element.IsEmpty() || options.Env().IsExceptionPending()) return false;
    if (!element.IsObject()) {
      Napi::TypeError::New(options.Env(), "a part must be an object").ThrowAsJavaScriptException();
      return false;
    }
    const auto from = element.As<Napi::Object>();
    double node = 0;
    double bytes = 0;
    if (!ReadField(from, "node", -1, kMaxNode, &node) ||
        !ReadField(from, "bytes", kPageBytes, kMaxPoolBytes, &bytes)) {
      return false;
    }
    parts->push_back({.node = static_cast<int>(node),
                      .bytes = AlignDown(static_cast<uint64_t>(bytes), kPageBytes)});
  }
  return true;
}

bool ReadPool(const Napi::Object& from, EngineOptions* options) {
  double large_bytes = 0;
  uint32_t huge_pages = 0;
  if (!ReadPoolParts(from, &options->arena.parts) ||
      !ReadField(from, "largeBytes", 0, kMaxPoolBytes, &large_bytes) ||
      !ReadField(from, "hugePages", 0, static_cast<uint32_t>(HugePages::kRequire), &huge_pages) ||
      !ReadField(from, "slabClasses", kSlabUnitBytes, kMaxSlabBytes, &options->slab_classes)) {
    return false;
  }
  options->arena.large_bytes = AlignDown(static_cast<uint64_t>(large_bytes), kPageBytes);
  options->arena.huge_pages = static_cast<HugePages>(huge_pages);
  const auto& classes = options->slab_classes;
  bool good = !classes.empty() && classes.size() <= kMaxSlabClasses;
  double total = large_bytes;
  for (const ArenaPart& part : options->arena.parts) {
    good = good && classes.back() <= part.bytes;
    total += static_cast<double>(part.bytes);
  }
  good = good && total <= kMaxPoolBytes;
  for (size_t i = 0; i < classes.size() && good; ++i) {
    good = std::has_single_bit(classes[i]) && (i == 0 || classes[i] > classes[i - 1]);
  }
  if (!good) {
    Napi::RangeError::New(from.Env(), "slabClasses must be ascending powers of two within the pool")
        .ThrowAsJavaScriptException();
  }
  return good;
}

}  // namespace

bool ReadEngineOptions(const Napi::Object& from, EngineOptions* options) {
  const Napi::Value queues = from.Get("queueCpus");
  if (queues.IsEmpty()) return false;
  if (!queues.IsArray()) {
    Napi::TypeError::New(from.Env(), "queueCpus must be an array").ThrowAsJavaScriptException();
    return false;
  }
  const auto lists = queues.As<Napi::Array>();
  if (lists.Length() < 1 || lists.Length() > kMaxQueues) {
    Napi::RangeError::New(from.Env(), "too many queues").ThrowAsJavaScriptException();
    return false;
  }
  for (uint32_t i = 0; i < lists.Length(); ++i) {
    std::vector<uint32_t> cpus;
    Napi::Object holder = Napi::Object::New(from.Env());
    const Napi::Value cpus_value = lists.Get(i);
    if (cpus_value.IsEmpty()) return false;
    holder.Set("cpus", cpus_value);
    if (!ReadField(holder, "cpus", 0, kMaxCpus - 1, &cpus)) return false;
    options->queue_cpus.emplace_back(cpus.begin(), cpus.end());
  }
  uint32_t backend = 0;
  if (!ReadField(from, "depth", 1, Queue::kMaxDepth, &options->depth) ||
      !ReadField(from, "maxFiles", 1, kMaxOpenFiles, &options->max_files) ||
      !ReadPool(from, options) ||
      !ReadField(from, "backend", 0, static_cast<uint32_t>(BackendKind::kThreads), &backend) ||
      !ReadFaultPlan(from, &options->faults) ||
      !ReadField(from, "without", &options->without_features)) {
    return false;
  }
  options->backend_kind = static_cast<BackendKind>(backend);
  return true;
}

bool ReadOpenRequest(const Napi::Object& from, OpenRequest* request) {
  uint32_t access = 0;
  uint32_t create = 0;
  uint32_t direct = 0;
  uint32_t lock = 0;
  double size = 0;
  if (!ReadField(from, "path", &request->path) || !ReadField(from, "access", 0, 2, &access) ||
      !ReadField(from, "create", 0, 2, &create) ||
      !ReadField(from, "truncate", &request->truncate) ||
      !ReadField(from, "direct", 0, 2, &direct) || !ReadField(from, "lock", 0, 2, &lock) ||
      !ReadField(from, "size", 0, kMaxSafeInteger, &size)) {
    return false;
  }
  if (request->path.find('\0') != std::string::npos) {
    Napi::TypeError::New(from.Env(), "path must have no null bytes").ThrowAsJavaScriptException();
    return false;
  }
  request->access = static_cast<Access>(access);
  request->create = static_cast<Create>(create);
  request->direct = static_cast<Direct>(direct);
  request->lock = static_cast<Lock>(lock);
  request->size = static_cast<uint64_t>(size);
  return true;
}

}  // namespace ringbolt
