// Runs the operator's program whenever the health of a VM changes. Never through a shell: values go as
// arguments and environment. One thread, "health-script", from the first change to stop(); one program at a
// time, each killed after its bound. Changes of one VM that come meanwhile are told as one.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

#include "base/cancel.h"
#include "base/thread.h"
#include "core/health.h"

namespace understudy::daemon {

class Notifier {
 public:
  // `script`: an absolute path; empty: nothing is run.
  Notifier(std::string script, Duration most, std::string host)
      : script_(std::move(script)), most_(most), host_(std::move(host)) {}
  ~Notifier() { stop(); }
  void stop();
  // Any thread, as often as one likes. The first word about a VM counts only when it is not good; one that is
  // not replicated any more is forgotten.
  void observe(const core::State& state, const core::Health& health);

 private:
  struct Change {
    std::string name;
    ReplicationMode mode = ReplicationMode::none;
    ReplicationHealth before = ReplicationHealth::not_applicable;
    core::Health health;
  };
  void run();
  void tell(const Uuid& vm, const Change& change);

  const std::string script_;
  const Duration most_;
  const std::string host_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  CancelToken stopped_;  // ends the program that runs
  std::map<Uuid, core::Health> known_;
  std::map<Uuid, Change> pending_;
  Thread thread_;
};

}  // namespace understudy::daemon
