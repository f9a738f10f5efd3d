// The addon's one class, `Engine`: checks what JavaScript passes and hands it to the host.
// lib/native.ts declares its shape; nobody but lib/ is meant to use it, and nothing that anybody
// does with it may harm the process.

#ifndef RINGBOLT_NODE_ENGINE_WRAP_H_
#define RINGBOLT_NODE_ENGINE_WRAP_H_

#include <napi.h>

#include <memory>

#include "io/features.h"
#include "memory/buffer_pool.h"
#include "node/engine_host.h"
#include "node/external_buffer.h"
#include "node/ring_copies.h"

namespace ringbolt {

class EngineWrap final : public Napi::ObjectWrap<EngineWrap>, public EngineHost::Owner {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit EngineWrap(const Napi::CallbackInfo& info);
  ~EngineWrap() override;

  void Deliver(napi_env env, uint32_t queue, uint32_t count) override;
  void SetBusy(bool busy) override;
  void HostGone() override;

 private:
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value Stop(const Napi::CallbackInfo& info);
  Napi::Value Abandon(const Napi::CallbackInfo& info);
  Napi::Value OpenFile(const Napi::CallbackInfo& info);
  Napi::Value CloseFile(const Napi::CallbackInfo& info);
  Napi::Value ChangeSpace(const Napi::CallbackInfo& info);
  Napi::Value StartDriven(const Napi::CallbackInfo& info);
  Napi::Value QueueBlocks(const Napi::CallbackInfo& info);
  Napi::Value QueueStats(const Napi::CallbackInfo& info);
  // In engine_slabs.cc.
  Napi::Value SlabBuffer(const Napi::CallbackInfo& info);
  Napi::Value TakeForgotten(const Napi::CallbackInfo& info);
  Napi::Value PutForgotten(const Napi::CallbackInfo& info);
  Napi::Value TrimPool(const Napi::CallbackInfo& info);
  Napi::Value GiveLargeLater(const Napi::CallbackInfo& info);
  Napi::Value PoolStats(const Napi::CallbackInfo& info);

  // Called for every batch or lease: see hot_call.h.
  static napi_value Kick(napi_env env, napi_callback_info info);
  static napi_value Drive(napi_env env, napi_callback_info info);
  // In engine_slabs.cc.
  static napi_value TakeSlabs(napi_env env, napi_callback_info info);
  static napi_value GiveSlabs(napi_env env, napi_callback_info info);
  static napi_value TakeLarge(napi_env env, napi_callback_info info);
  static napi_value GiveLarge(napi_env env, napi_callback_info info);
  static napi_value DetachBuffer(napi_env env, napi_callback_info info);
  static napi_value FillSlab(napi_env env, napi_callback_info info);
  static napi_value ReadSlab(napi_env env, napi_callback_info info);
  // In engine_checksums.cc.
  static napi_value PrepareChecksums(napi_env env, napi_callback_info info);
  static napi_value PutExpected(napi_env env, napi_callback_info info);
  static napi_value TakeChecksums(napi_env env, napi_callback_info info);
  static napi_value CopyChecksummed(napi_env env, napi_callback_info info);

  // Null if there is no such queue, or none at all.
  [[nodiscard]] ChecksumAreas* AreasOf(uint32_t queue) const;

  [[nodiscard]] const Queue* ReadQueue(const Napi::Value& value) const;

  // Throws and returns false if the engine has ended.
  bool Alive(Napi::Env env) const;
  // Throws and returns false once stop() was called, too: what is posted behind that never runs,
  // and its promise would never settle.
  bool MayPost(Napi::Env env) const;
  [[nodiscard]] Napi::Object Describe(Napi::Env env) const;
  void DescribePool(Napi::Env env, Napi::Object result) const;  // in engine_slabs.cc

  EngineHost* host_ = nullptr;
  std::shared_ptr<BufferPool> pool_;  // once started; leases outlive the host
  BackendFeature external_buffers_{kExternalBuffers, true, ""};  // found out when it has started
  std::unique_ptr<RingCopies> ring_copies_;                      // where there are none
  // Weak: the function is a property of the JavaScript object, which keeps it alive without a cycle
  // through native code.
  napi_ref deliver_ = nullptr;
  bool start_called_ = false;
  bool stop_called_ = false;
};

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_ENGINE_WRAP_H_
