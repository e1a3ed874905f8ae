#include "base/fault_point.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace understudy {
namespace {
struct Plan {
  std::string name;
  std::string action;
  long passage = 1;
  std::string log;
  bool active = false;
};

Plan read_plan() {
  Plan plan;
  if (const char* text = std::getenv("UNDERSTUDY_FAULT")) {
    const std::string all(text);
    const size_t first = all.find(':');
    if (first != std::string::npos) {
      const size_t second = all.find(':', first + 1);
      plan.name = all.substr(0, first);
      plan.action = all.substr(first + 1, second == std::string::npos ? second : second - first - 1);
      if (second != std::string::npos) plan.passage = std::strtol(all.c_str() + second + 1, nullptr, 10);
    }
  }
  if (const char* log = std::getenv("UNDERSTUDY_FAULT_LOG")) plan.log = log;
  plan.active = !plan.name.empty() || !plan.log.empty();
  return plan;
}

void note(const std::string& log, std::string_view name) {
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const std::string line = std::string(name) + "\n";
  [[maybe_unused]] const ssize_t written = write(fd, line.data(), line.size());
  close(fd);
}
}  // namespace

Status fault_point(std::string_view name) {
  static const Plan plan = read_plan();
  static std::atomic<long> passages{0};
  if (!plan.active) return {};
  if (!plan.log.empty()) note(plan.log, name);
  if (name != plan.name || ++passages != plan.passage) return {};
  if (plan.action == "kill") kill(getpid(), SIGKILL);
  if (plan.action == "stop") kill(getpid(), SIGSTOP);
  if (plan.action == "fail") return fail(ErrorCode::failed, "fault point " + std::string(name));
  return {};
}
}  // namespace understudy
