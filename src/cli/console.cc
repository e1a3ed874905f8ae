#include "cli/console.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <optional>

namespace understudy::cli {
namespace {

Result<std::string> line_of_input() {
  std::string line;
  if (!std::getline(std::cin, line))
    return fail(ErrorCode::invalid_parameter, "standard input is at its end");
  return line;
}

// Echo off for as long as it lives.
class Hidden {
 public:
  Hidden() {
    termios now{};
    if (tcgetattr(STDIN_FILENO, &now) != 0) return;
    before_ = now;
    now.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &now);
  }
  ~Hidden() {
    if (!before_) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &*before_);
    std::cerr << '\n';
  }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;

 private:
  std::optional<termios> before_;
};

}  // namespace

Console system_console() {
  const bool reads = isatty(STDIN_FILENO) == 1;
  const bool draws = isatty(STDERR_FILENO) == 1;
  const auto ask = [=](const std::string& prompt) -> Result<std::string> {
    if (!reads || !draws) return fail(ErrorCode::invalid_parameter, "there is no terminal to ask on");
    std::cerr << prompt << std::flush;
    return line_of_input();
  };
  const auto ask_password = [=](const std::string& prompt) -> Result<std::string> {
    if (!reads) return line_of_input();
    std::cerr << prompt << std::flush;
    const Hidden hidden;
    return line_of_input();
  };
  return {std::cout, std::cerr, reads && draws, draws, ask, ask_password, isatty(STDOUT_FILENO) == 1};
}

SignalWaiter::~SignalWaiter() {
  if (fd_ >= 0) close(fd_);
}

Monotonic SignalWaiter::now() {
  return SystemClock().now().monotonic;
}

Status SignalWaiter::wait(Duration time) {
  if (fd_ < 0) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd_ < 0) return fail_errno(errno, "signalfd");
  }
  const Monotonic until = now() + time;
  while (true) {
    const Duration left = std::max(until - now(), Duration{});
    pollfd watched{fd_, POLLIN, 0};
    const int ready = poll(&watched, 1, static_cast<int>(left.whole_millis()));
    if (ready > 0) {
      signalfd_siginfo taken{};
      if (read(fd_, &taken, sizeof taken) < 0 && errno == EAGAIN) continue;
      return fail(ErrorCode::cancelled, "interrupted");
    }
    if (ready == 0) return {};
    if (errno != EINTR) return fail_errno(errno, "poll");
  }
}

}  // namespace understudy::cli
