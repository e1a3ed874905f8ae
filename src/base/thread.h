// The one place where threads are made. A Thread has a name (at most 15 bytes, shown by ps -L and gdb), is
// joined by its destructor, and never detached. docs/ARCHITECTURE.md lists every thread with its owner and
// stop order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace understudy {

class Thread {
 public:
  Thread() = default;
  // All signals are blocked in the new thread: only the main thread waits for them.
  Thread(std::string name, std::function<void()> body);
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other);
  ~Thread();
  void join();
  bool running() const { return thread_.joinable() || scheduled_ != 0; }

 private:
  std::thread thread_;
  uint64_t scheduled_ = 0;  // of a scheduler below (base/waiting.h)
};

}  // namespace understudy
