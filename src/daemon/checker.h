// Would a failover work? Looks at this host and at every replicated VM on it: once in its interval, when its
// definition changes, and when somebody asks. What takes longer is looked at in the first look, daily, and
// until it is good. What is not good goes to the VM's engine, whose health tells it; what is not found again
// is over.
//
// One thread, "checker", from start() to stop(); the other calls from any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "base/thread.h"
#include "core/health.h"
#include "daemon/registry.h"
#include "hypervisor/libvirt_hypervisor.h"
#include "performer/core_loop.h"
#include "providers/host.h"

namespace understudy::daemon {

class Checker {
 public:
  struct Parts {
    performer::CoreLoop& core;
    hypervisor::LibvirtHypervisor& hypervisor;
    Registry& registry;
    Clock& clock;
    transfer::Connector& connector;
    store::Files& files;
    std::string name;                       // of this host
    std::vector<std::string> certificates;  // files: of this host and of its authority
    std::function<bool()> listening;
    std::function<std::optional<Finding>()> kerberos;  // how its keys are; none: it is not offered
    // Hears every few seconds how each replicated VM is, and once of one that is none any more; called on the
    // checker's thread.
    std::function<void(const core::State&, const core::Health&)> observe;
  };
  explicit Checker(Parts parts) : parts_(std::move(parts)) {}
  ~Checker() { stop(); }

  void start();
  void stop();
  void look_again(const Uuid& vm);  // soon: something has changed

  // Everything, also what is good, and what takes up to limits::kMethodReply. invalid_state when the VM is
  // not replicated on this host.
  Result<std::vector<providers::HostFinding>> check(const Uuid& vm);

 private:
  struct Looked {
    std::optional<Monotonic> last;
    std::optional<Monotonic> whole;  // thoroughly, and all that took longer was good
  };
  void run();
  void look(const core::State& state, Looked& looked);
  Wall statistics_window() const;

  std::vector<Finding> of_host(const core::State& state);
  std::vector<Finding> of_primary(const core::State& state);
  // `known`: also what was told when replication was enabled.
  std::vector<Finding> of_replica(const core::State& state, bool known);
  std::vector<Finding> thorough(const core::State& state);
  Finding of_checkpoints(const core::State& state);
  std::vector<providers::HostFinding> of_neighbour(const core::State& state);

  Parts parts_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::set<Uuid> asked_;
  std::map<Uuid, Looked> looked_;  // on the checker's thread
  Thread thread_;
};

}  // namespace understudy::daemon
