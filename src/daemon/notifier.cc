#include "daemon/notifier.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "base/log.h"

namespace understudy::daemon {
namespace {

constexpr int kLook = 100;  // ms, between two looks whether the daemon stops

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

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> found;
  for (std::string& one : words) found.push_back(one.data());
  found.push_back(nullptr);
  return found;
}

// In a process group of its own, so that whatever it starts ends with it.
pid_t start(std::vector<std::string> words, std::vector<std::string> environment, int& error) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  error = posix_spawn(&child, words[0].c_str(), &files, &attributes, pointers(words).data(),
                      pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error == 0 ? child : -1;
}

}  // namespace

void Notifier::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Notifier::observe(const core::State& state, const core::Health& health) {
  if (script_.empty()) return;
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
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
  int error = 0;
  const pid_t child = start(
      {script_, line(change.name), level},
      {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "UNDERSTUDY_HOST=" + line(host_),
       "UNDERSTUDY_VM=" + line(change.name), "UNDERSTUDY_VM_ID=" + vm.lower(),
       std::string("UNDERSTUDY_ROLE=") + (change.mode == ReplicationMode::primary ? "primary" : "replica"),
       "UNDERSTUDY_HEALTH=" + level, std::string("UNDERSTUDY_HEALTH_BEFORE=") + word(change.before),
       "UNDERSTUDY_CAUSE=" + line(change.health.cause), "UNDERSTUDY_NEXT=" + line(change.health.next),
       "UNDERSTUDY_SINCE=" + iso_time(change.health.since)},
      error);
  if (child < 0)
    return log_error("health", "the health script cannot be run",
                     {{"script", script_},
                      {"error", std::string(std::error_code(error, std::generic_category()).message())}});
  const Monotonic end = SystemClock().now().monotonic + most_;
  const int alive = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  bool in_time = false;
  for (bool stops = false; !in_time && !stops && SystemClock().now().monotonic < end;) {
    pollfd ended{alive, POLLIN, 0};
    in_time = poll(&ended, 1, kLook) > 0;
    const std::lock_guard lock(mutex_);
    stops = stopping_;
  }
  if (!in_time) kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (alive >= 0) close(alive);
  if (!in_time || status != 0)
    log_warning("health",
                in_time ? "the health script failed" : "the health script took too long and was ended",
                {{"script", script_}, {"vm", change.name}, {"status", status}});
}

}  // namespace understudy::daemon
