// The module object: the Engine class, the checksum functions, the probe, the constants of every
// layout that JavaScript shares, so that lib/native.ts can refuse an addon it was not written for,
// and how it was compiled.

#include <napi.h>

#include "checksum/dispatch.h"
#include "engine/checksum_areas.h"
#include "engine/op_slot.h"
#include "engine/queue.h"
#include "memory/buffer_pool.h"
#include "node/checksum_functions.h"
#include "node/engine_wrap.h"
#include "node/probe.h"
#include "node/stats_layout.h"

namespace ringbolt {

namespace {

Napi::Object Layout(Napi::Env env) {
  Napi::Object layout = Napi::Object::New(env);
  const auto set = [&](const char* name, size_t value) {
    layout.Set(name, static_cast<double>(value));
  };
  set("opSlotBytes", sizeof(OpSlot));
  set("completionSlotBytes", sizeof(CompletionSlot));
  set("slabUnitBytes", kSlabUnitBytes);
  set("controlSlots", Queue::kControlSlots);
  set("maxDepth", Queue::kMaxDepth);
  set("ioClasses", kIoClasses);
  set("queueNumbers", kQueueNumbers);
  set("classNumbers", kClassNumbers);
  set("checksumBlocks", kMaxChecksumBlocks);
  set("histogramBuckets", Histogram::kBuckets);
  set("histogramSubBuckets", Histogram::kSubBuckets);
  set("histogramFirstOctave", Histogram::kFirstOctave);
  return layout;
}

// What makes measurements of this addon mean less. Not NDEBUG: what ships does not define it.
Napi::Object Build(Napi::Env env) {
#ifdef __OPTIMIZE__
  constexpr bool kOptimized = true;
#else
  constexpr bool kOptimized = false;
#endif
#if defined(__SANITIZE_ADDRESS__)
  constexpr const char* kSanitizer = "AddressSanitizer";
#elif defined(__SANITIZE_THREAD__)
  constexpr const char* kSanitizer = "ThreadSanitizer";
#else
  constexpr const char* kSanitizer = "";
#endif
  Napi::Object build = Napi::Object::New(env);
  build.Set("optimized", kOptimized);
  build.Set("sanitizer", kSanitizer);
  return build;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", EngineWrap::Define(env));
  exports.Set("checksum", DefineChecksums(env));
  exports.Set("layout", Layout(env));
  exports.Set("build", Build(env));
  exports.Set("probe", DefineProbe(env));
  return exports;
}

NODE_API_MODULE(ringbolt, Init)

}  // namespace

}  // namespace ringbolt
