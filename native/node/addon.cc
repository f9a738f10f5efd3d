// The module object: the Engine class, and the constants of every layout that JavaScript shares, so
// that lib/native.ts can refuse an addon it was not written for.

#include <napi.h>

#include "engine/op_slot.h"
#include "engine/queue.h"
#include "memory/slab_pool.h"
#include "node/engine_wrap.h"
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
  set("histogramBuckets", Histogram::kBuckets);
  set("histogramSubBuckets", Histogram::kSubBuckets);
  set("histogramFirstOctave", Histogram::kFirstOctave);
  return layout;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", EngineWrap::Define(env));
  exports.Set("layout", Layout(env));
  return exports;
}

NODE_API_MODULE(ringbolt, Init)

}  // namespace

}  // namespace ringbolt
