#include "support/scripted_backend.h"

#include <condition_variable>
#include <deque>
#include <mutex>

namespace ringbolt::test {

namespace {

Script current_script;  // set before a queue thread starts, which orders the two

class ScriptedBackend final : public Backend {
 public:
  const char* name() const override { return "scripted"; }
  const std::vector<BackendFeature>& features() const override { return features_; }

  size_t Submit(std::span<const BackendOp> ops) override {
    for (const BackendOp& op : ops) results_.push_back({op.id, script_(op)});
    return ops.size();
  }

  Status Wait(bool block) override {
    std::unique_lock lock(mutex_);
    if (block) changed_.wait(lock, [&] { return woken_ || !results_.empty(); });
    woken_ = false;
    return Status::Ok();
  }

  size_t Reap(std::span<BackendResult> results) override {
    size_t count = 0;
    for (; count < results.size() && !results_.empty(); ++count) {
      results[count] = results_.front();
      results_.pop_front();
    }
    return count;
  }

  void Cancel(uint64_t) override {}

  void Wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }

  void RegisterFile(uint32_t, int) override {}

 private:
  const Script script_ = current_script;
  std::deque<BackendResult> results_;
  std::vector<BackendFeature> features_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

}  // namespace

void SetScript(Script script) { current_script = std::move(script); }

Status CreateScriptedBackend(const BackendOptions&, std::unique_ptr<Backend>* backend) {
  *backend = std::make_unique<ScriptedBackend>();
  return Status::Ok();
}

}  // namespace ringbolt::test
