#include "base/thread.h"

#include <signal.h>

#include <memory>

#include "base/check.h"

namespace ringbolt {

namespace {

struct StartArguments {
  std::string name;
  std::function<void()> body;
};

void* Main(void* raw) {
  const std::unique_ptr<StartArguments> arguments(static_cast<StartArguments*>(raw));
  pthread_setname_np(pthread_self(), arguments->name.substr(0, 15).c_str());
  arguments->body();
  return nullptr;
}

}  // namespace

Thread::~Thread() { RB_CHECK(!running_); }

Status Thread::Start(const std::string& name, std::function<void()> body) {
  RB_CHECK(!running_);
  auto arguments = std::make_unique<StartArguments>(StartArguments{name, std::move(body)});

  // The mask is inherited: blocking around the creation leaves no moment in which the new thread
  // could be chosen for a signal.
  sigset_t all;
  sigset_t previous;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
  const int error = pthread_create(&thread_, nullptr, Main, arguments.get());
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);

  if (error != 0) return Status::Error(error, "pthread_create", "thread " + name);
  (void)arguments.release();  // Main owns it now
  running_ = true;
  return Status::Ok();
}

void Thread::Join() {
  RB_CHECK(running_);
  pthread_join(thread_, nullptr);
  running_ = false;
}

void Thread::Detach() {
  RB_CHECK(running_);
  pthread_detach(thread_);
  running_ = false;
}

}  // namespace ringbolt
