// The one place where threads are made. A Thread has a name (at most 15 bytes, shown by ps -L and gdb), is
// joined by its destructor, and never detached. docs/ARCHITECTURE.md lists every thread with its owner and
// stop order.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace understudy {

class Thread {
 public:
  Thread() = default;
  // All signals are blocked in the new thread: only the main thread waits for them.
  Thread(std::string name, std::function<void()> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&& other);
  ~Thread();
  void join();
  bool running() const { return thread_.joinable(); }

 private:
  std::thread thread_;
};

}  // namespace understudy
