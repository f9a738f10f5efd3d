// A named native thread that blocks every signal: signals belong to Node's main thread, and a
// handler run on a queue thread would interrupt its system calls.
//
// std::thread is not used, because it reports failure by throwing.

#ifndef RINGBOLT_BASE_THREAD_H_
#define RINGBOLT_BASE_THREAD_H_

#include <pthread.h>

#include <functional>
#include <string>

#include "base/status.h"

namespace ringbolt {

class Thread {
 public:
  Thread() = default;
  ~Thread();  // the thread was joined or detached before
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // `name` is cut to the kernel's 15 characters.
  Status Start(const std::string& name, std::function<void()> body);

  void Join();
  void Detach();

  [[nodiscard]] bool running() const { return running_; }

 private:
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace ringbolt

#endif  // RINGBOLT_BASE_THREAD_H_
