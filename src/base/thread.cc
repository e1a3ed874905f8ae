#include "base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

#include "base/waiting.h"

namespace understudy {

Thread::Thread(std::string name, std::function<void()> body) {
  if (Scheduler* below = scheduler()) {
    scheduled_ = below->start(name, std::move(body));
    return;
  }
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([name = std::move(name), body = std::move(body)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    body();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Thread::Thread(Thread&& other) noexcept
    : thread_(std::move(other.thread_)), scheduled_(std::exchange(other.scheduled_, 0)) {}

Thread& Thread::operator=(Thread&& other) {
  join();
  thread_ = std::move(other.thread_);
  scheduled_ = std::exchange(other.scheduled_, 0);
  return *this;
}

Thread::~Thread() {
  join();
}

void Thread::join() {
  if (scheduled_ != 0) scheduler()->join(std::exchange(scheduled_, 0));
  if (thread_.joinable()) thread_.join();
}

}  // namespace understudy
