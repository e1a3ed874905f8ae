#include "hypervisor/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <csignal>
#include <vector>

#include "base/child.h"
#include "base/limits.h"
#include "base/time.h"

namespace understudy::hypervisor {
namespace {

constexpr char kProgram[] = "understudy-guard";

// With `socket` as its standard input. It forks at once: what we started ends, and the guard is nobody's
// child, so that nobody has to wait for it.
Status spawn(const std::string& program, std::vector<std::string> words, int socket) {
  words.insert(words.begin(), program);
  const Program guard{std::move(words), std::nullopt, socket, -1, -1, Program::Group::session};
  US_TRY(const pid_t child, start_program(guard));
  end_of(child, guard.group, limits::kGuardReady);
  return {};
}

// The guard's next word; none when it is gone or says nothing in time.
std::optional<GuardWord> hear(const Descriptor& socket, Duration most) {
  struct pollfd readable = {socket.get(), POLLIN, 0};
  if (::poll(&readable, 1, static_cast<int>(most.whole_millis())) != 1) return {};
  char word;
  if (::recv(socket.get(), &word, 1, 0) != 1) return {};
  return static_cast<GuardWord>(word);
}

void say(const Descriptor& socket, GuardWord word) {
  const char byte = static_cast<char>(word);
  static_cast<void>(::send(socket.get(), &byte, 1, MSG_NOSIGNAL));  // a guard that is gone is found by hear()
}

}  // namespace

Result<Guard> Guard::start(const GuardTask& task) {
  std::string program = task.program;
  if (program.empty()) {
    US_TRY(program, beside_this_program(kProgram));
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno(errno, "making a socket for " + program);
  Descriptor ours(ends[0]), theirs(ends[1]);
  US_CHECK(spawn(program, {task.uri, task.vm.lower(), std::to_string(task.domain), task.mark}, theirs.get()));
  theirs.close();
  const auto word = hear(ours, limits::kGuardReady);
  if (word == GuardWord::ready) return Guard(std::move(ours));
  if (word == GuardWord::busy)
    return fail(ErrorCode::in_use, "an earlier freeze of the guest is still being undone");
  return fail(ErrorCode::failed, program + ", without which no guest is frozen, does not start");
}

void Guard::tell_frozen() {
  say(socket_, GuardWord::frozen);
}

bool Guard::release() {
  say(socket_, GuardWord::done);
  const bool untouched = hear(socket_, limits::kGuardReady) == GuardWord::untouched;
  socket_.close();
  return untouched;
}

std::optional<unsigned> left_over(const std::string& mark) {
  const Descriptor file(::open(mark.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return {};
  std::array<char, 16> text;
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  unsigned domain = 0;
  std::from_chars(text.data(), text.data() + std::max<ssize_t>(n, 0), domain);
  return domain;
}

}  // namespace understudy::hypervisor
