#include "daemon/notifier.h"

#include <algorithm>
#include <vector>

#include "base/child.h"
#include "base/log.h"

namespace understudy::daemon {
namespace {

const char* word(ReplicationHealth level) {
  switch (level) {
    case ReplicationHealth::ok:
      return "ok";
    case ReplicationHealth::warning:
      return "warning";
    case ReplicationHealth::critical:
      return "critical";
    default:
      return "none";
  }
}

// One line without what no environment can hold.
std::string line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

}  // namespace

void Notifier::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.cancel();
  wake_.notify_all();
  thread_.join();
}

void Notifier::observe(const core::State& state, const core::Health& health) {
  if (script_.empty()) return;
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (core::mode_of(state) == ReplicationMode::none) {
    known_.erase(state.vm);
    return;
  }
  const auto found = known_.find(state.vm);
  const bool first = found == known_.end();
  const ReplicationHealth before = first ? ReplicationHealth::not_applicable : found->second.level;
  const bool good = health.level == ReplicationHealth::ok;
  const bool same = first ? good : before == health.level && (good || found->second.since == health.since);
  known_[state.vm] = health;
  if (same) return;
  Change& change = pending_[state.vm];
  if (change.name.empty()) change.before = before;
  change.name = state.name;
  change.mode = core::mode_of(state);
  change.health = health;
  if (!thread_.running()) thread_ = Thread("health-script", [this] { run(); });
  wake_.notify_all();
}

void Notifier::run() {
  for (;;) {
    Uuid vm;
    Change change;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !pending_.empty(); });
      if (stopping_) return;
      vm = pending_.begin()->first;
      change = std::move(pending_.begin()->second);
      pending_.erase(pending_.begin());
    }
    tell(vm, change);
  }
}

void Notifier::tell(const Uuid& vm, const Change& change) {
  const std::string level = word(change.health.level);
  Program program{{script_, line(change.name), level}};
  program.environment = {
      "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
      "UNDERSTUDY_HOST=" + line(host_),
      "UNDERSTUDY_VM=" + line(change.name),
      "UNDERSTUDY_VM_ID=" + vm.lower(),
      std::string("UNDERSTUDY_ROLE=") + (change.mode == ReplicationMode::primary ? "primary" : "replica"),
      "UNDERSTUDY_HEALTH=" + level,
      std::string("UNDERSTUDY_HEALTH_BEFORE=") + word(change.before),
      "UNDERSTUDY_CAUSE=" + line(change.health.cause),
      "UNDERSTUDY_NEXT=" + line(change.health.next),
      "UNDERSTUDY_SINCE=" + iso_time(change.health.since)};
  program.group = Program::Group::own;  // whatever it starts ends with it
  const auto child = start_program(program);
  if (!child)
    return log_error("health", "the health script cannot be run",
                     {{"script", script_}, {"error", child.error().text()}});
  const std::optional<int> status = end_of(*child, program.group, most_, stopped_);
  if (!ended_well(status))
    log_warning("health",
                status ? "the health script failed" : "the health script took too long and was ended",
                {{"script", script_}, {"vm", change.name}, {"status", status.value_or(0)}});
}

}  // namespace understudy::daemon
