// One host: what survives its daemon (disk, state database, hypervisor) and, while it runs, the daemon's own
// parts: the core, its executors, whoever asks it, and the replica's service.
#pragma once

#include <deque>

#include "daemon/replication_service.h"
#include "hypervisor.h"
#include "network.h"
#include "performer/core.h"
#include "ports.h"
#include "store/testing/crash_files.h"

namespace understudy::sim {

inline constexpr const char* kStorage = "/s/replicas";

enum class Death : uint8_t { daemon, power };

class SimExecutor final : public performer::Executor {
 public:
  SimExecutor(World& world, int host, const char* name) : world_(world), host_(host), name_(name) {}
  Status submit(std::function<void()> work) override;
  void stop() override {}

 private:
  World& world_;
  const int host_;
  const char* name_;
};

class Host final : public performer::Asker {
 public:
  Host(World& world, int index);
  ~Host() override;

  void boot();             // makes the daemon; it may be dead again when this returns
  void kill(Death death);  // from now on everything fails; bury() does the rest
  void bury();
  bool up() const { return daemon_ != nullptr && !dead; }
  bool has_daemon() const { return daemon_ != nullptr; }

  // --- the core ---
  bool has_event() const { return up() && !queue_.empty(); }
  void step();
  std::optional<Monotonic> next_timer() const;
  void fire_timers();
  void post(const Uuid& vm, core::Event event);
  void news(core::VmEvent what);
  // A method call; its answer is told to the world, and to `then` if this daemon lives to give one.
  using Then = std::function<void(const core::Reply& reply)>;
  void call(const std::function<core::Event(core::CallId)>& make, Then then = {});

  // --- Asker ---
  Result<performer::Answer> ask(const Uuid& vm, const std::function<core::Event(core::CallId)>& make,
                                Duration deadline) override;
  std::optional<core::State> state(const Uuid& vm) const override;
  performer::Performer& performer() override;

  transfer::PeerService& service();
  std::shared_ptr<store::ReplicaStore> store();  // null: none, or no daemon
  const core::State& engine() const { return published_; }
  core::Phase phase() const { return published_.phase; }

  const int index;
  const std::string name;
  std::string certificate;  // the name that its certificate carries now
  store::CrashFiles files;
  SimClock clock;
  SimIds ids;
  SimStateDb db;
  SimHypervisor hypervisor;
  SimConnector connector;
  bool dead = false;
  Death death = Death::daemon;
  std::optional<Monotonic> boots_at;
  size_t most_queued = 0;
  uint64_t steps = 0;  // of the engine, in this life

 private:
  struct Daemon;
  performer::Ports ports();
  void changed(const core::State& state);
  void stepped(const core::State& before, const core::Event& event, const core::Engine& after);
  void answered(performer::Answer answer);

  World& world_;
  std::unique_ptr<Daemon> daemon_;
  std::deque<std::pair<Uuid, core::Event>> queue_;
  core::CallId next_call_ = 1;
  std::map<core::CallId, std::optional<performer::Answer>> waiting_;
  std::map<core::CallId, Then> told_;
  core::State published_;
};

}  // namespace understudy::sim
