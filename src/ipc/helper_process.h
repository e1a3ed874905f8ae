// A confined process of ours, from its start to its end, and again when it ends by itself: a crash costs its
// connections and nothing else. Lives as long as the daemon; one thread, "helper", from start() on.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/thread.h"
#include "ipc/confine.h"
#include "ipc/control.h"

namespace understudy::ipc {

inline constexpr Duration kLookAgain = Duration::seconds(5);

// A listener for one. Tries again for a while: what had the address may be the process of a daemon that was
// killed.
Result<net::Fd> listen_patiently(const std::function<Result<net::Fd>()>& listen);

class HelperProcess {
 public:
  struct Options {
    std::string program;  // its name: it is beside the running program
    std::string user;     // of the system; it runs as nobody else does
    std::string root;     // see Confinement; made when it is missing
    // In the root, its own to read and to write, for a program that may; made when they are missing.
    std::vector<std::string> own_files;
    Bytes setup;
    net::Fd listener;  // stays ours too: who connects while the process starts again waits. May be empty
    std::function<void(net::Fd lane)> on_lane;  // on the thread. Empty: it must begin no conversation
    // Asked every kLookAgain, on the thread: another setup, when there is one. May be empty.
    std::function<std::optional<Bytes>()> renewed;
  };
  // It serves when this returns.
  static Result<std::unique_ptr<HelperProcess>> start(Options options);
  ~HelperProcess();  // ends it
  // It runs, or is about to. False: it has ended, and could not be started again. Any thread.
  bool serving() const { return serving_; }
  // Begins a conversation with it, on a descriptor that `payload` explains. Any thread. While it starts
  // again: ErrorCode::not_available.
  Status give(ByteView payload, std::initializer_list<int> descriptors);

 private:
  explicit HelperProcess(Options options) : options_(std::move(options)) {}
  Status launch();
  void watch();
  void hand_over_renewed();
  Status hear_until_end();
  std::optional<int> reap();  // its status, as end_of() has it

  Options options_;
  Confinement confinement_;
  std::atomic<bool> serving_{true};
  pid_t child_ = -1;
  std::mutex mutex_;  // for who sends by it; only the thread replaces it
  std::unique_ptr<Control> control_;
  CancelToken stop_;
  Thread thread_;
};

}  // namespace understudy::ipc
