#include "base/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

namespace understudy {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> found;
  for (std::string& text : texts) found.push_back(text.data());
  found.push_back(nullptr);
  return found;
}

void give(posix_spawn_file_actions_t& files, int ours, int theirs, int flags) {
  if (ours >= 0)
    posix_spawn_file_actions_adddup2(&files, ours, theirs);
  else
    posix_spawn_file_actions_addopen(&files, theirs, "/dev/null", flags, 0);
}

int millis(Duration left) {
  return static_cast<int>(std::max<int64_t>(left.whole_millis() + 1, 0));
}

}  // namespace

Result<std::string> beside_this_program(const std::string& name) {
  std::array<char, PATH_MAX> self;
  const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size());
  if (n < 0) return fail_errno(errno, "looking for this program");
  const std::string path(self.data(), static_cast<size_t>(n));
  return path.substr(0, path.rfind('/') + 1) + name;
}

Result<pid_t> start_program(const Program& program) {
  std::vector<std::string> words = program.words;
  std::vector<std::string> given = program.environment.value_or(std::vector<std::string>());
  std::vector<char*> environment = pointers(given);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  give(files, program.input, STDIN_FILENO, O_RDONLY);
  give(files, program.output, STDOUT_FILENO, O_WRONLY);
  give(files, program.errors, STDERR_FILENO, O_WRONLY);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);  // our threads block them
  posix_spawnattr_setpgroup(&attributes, 0);
  int flags = POSIX_SPAWN_SETSIGMASK;
  if (program.group == Program::Group::own) flags |= POSIX_SPAWN_SETPGROUP;
  if (program.group == Program::Group::session) flags |= POSIX_SPAWN_SETSID;
  posix_spawnattr_setflags(&attributes, static_cast<short>(flags));
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, words[0].c_str(), &files, &attributes, pointers(words).data(),
                                   program.environment ? environment.data() : environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, "starting " + words[0]);
  return child;
}

std::optional<int> end_of(pid_t child, Program::Group group, Duration most, const CancelToken& cancel) {
  const int alive = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  const Monotonic end = SystemClock().now().monotonic + most;
  std::array<pollfd, 2> either{{{alive, POLLIN, 0}, {cancel.fd(), POLLIN, 0}}};
  Duration left = most;
  while (::poll(either.data(), either.size(), millis(left)) < 0 && errno == EINTR)
    left = end - SystemClock().now().monotonic;
  if (alive >= 0) ::close(alive);
  int status = 0;
  if (::waitpid(child, &status, WNOHANG) == child) return status;
  ::kill(group == Program::Group::ours ? child : -child, SIGKILL);
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return std::nullopt;
}

Result<std::optional<int>> run_program(Program program, Said where,
                                       const std::function<void(std::string_view)>& take, Duration most) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe for " + program.words[0]);
  (where == Said::output ? program.output : program.errors) = ends[1];
  const Monotonic end = SystemClock().now().monotonic + most;
  const auto child = start_program(program);
  ::close(ends[1]);
  std::array<char, 16384> some;
  for (bool more = child.has_value(); more;) {
    pollfd readable{ends[0], POLLIN, 0};
    const Duration left = end - SystemClock().now().monotonic;
    const int ready = left.us <= 0 ? 0 : ::poll(&readable, 1, millis(left));
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t count = ready > 0 ? ::read(ends[0], some.data(), some.size()) : 0;
    more = count > 0;
    if (more) take({some.data(), static_cast<size_t>(count)});
  }
  ::close(ends[0]);
  if (!child) return fail(child.error());
  return end_of(*child, program.group, end - SystemClock().now().monotonic);
}

bool ended_well(const std::optional<int>& status) {
  return status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
}

}  // namespace understudy
