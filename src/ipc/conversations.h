// Threads for conversations between processes of ours, so many at once. take() and run() are for one thread;
// the destructor cancels them and waits.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <string>

#include "base/cancel.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/socket.h"

namespace understudy::ipc {

class Conversations {
 public:
  // Called on a thread of its own for each, and returns when it is over or the token is cancelled.
  using Serve = std::function<void(net::Fd socket, const CancelToken& stop)>;
  using Run = std::function<void(const CancelToken& stop)>;
  Conversations(std::string thread_name, size_t most, Serve serve = {})
      : name_(std::move(thread_name)), most_(most), serve_(std::move(serve)) {}
  ~Conversations() { stop_.cancel(); }

  // Refused, by closing it, when there are too many.
  void take(net::Fd socket) {
    auto shared = std::make_shared<net::Fd>(std::move(socket));  // std::function wants it copyable
    run([this, shared](const CancelToken& stop) { serve_(std::move(*shared), stop); });
  }
  // Dropped when there are too many.
  void run(Run conversation) {
    std::erase_if(running_, [](const One& one) { return one.over.load(); });
    if (running_.size() >= most_)
      return log_warning(name_, "too many conversations at once", {{"most", most_}});
    One& one = running_.emplace_back();
    one.thread = Thread(name_, [this, conversation = std::move(conversation), &one]() mutable {
      conversation(stop_);
      conversation = {};  // with what it holds: it is over for the other side, too
      one.over = true;
    });
  }

 private:
  struct One {
    std::atomic<bool> over{false};
    Thread thread;  // joined first
  };
  const std::string name_;
  const size_t most_;
  const Serve serve_;
  CancelToken stop_;
  std::list<One> running_;
};

}  // namespace understudy::ipc
