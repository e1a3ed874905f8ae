// understudyd: the daemon, one on each host. Reads its settings, starts everything, waits for SIGTERM or
// SIGINT, stops everything.
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "base/log.h"
#include "daemon/composition.h"

namespace {

constexpr const char* kUsage =
    "usage: understudyd [--config FILE]\n"
    "\n"
    "Replicates libvirt virtual machines between hosts. Runs in the foreground; SIGTERM stops it in good "
    "order.\n"
    "  --config FILE   settings (default /etc/understudy/understudyd.toml)\n"
    "  --version       print the version\n";

int wait_for_stop(int signals) {
  signalfd_siginfo info{};
  while (read(signals, &info, sizeof info) != sizeof info) {
  }
  return static_cast<int>(info.ssi_signo);
}

int run(const std::string& config_file) {
  using namespace understudy;
  const auto config = daemon::load_config(config_file);
  if (!config) {
    std::fprintf(stderr, "understudyd: %s\n", config.error().text().c_str());
    return error_info(config.error().code()).exit_code;
  }
  set_log(config->log_level == "debug" ? LogLevel::debug : LogLevel::info, config->log_json);

  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  sigprocmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const int signals = signalfd(-1, &stop_signals, SFD_CLOEXEC);

  auto daemon = daemon::Composition::start(*config);
  if (!daemon) {
    log_error("daemon", "cannot start", {{"error", daemon.error().text()}});
    std::fprintf(stderr, "understudyd: %s\n", daemon.error().text().c_str());
    return error_info(daemon.error().code()).exit_code;
  }
  log_info("daemon", "started", {{"host", config->host_name}, {"version", UNDERSTUDY_VERSION}});
  const int signal_number = wait_for_stop(signals);
  log_info("daemon", "stopping", {{"signal", strsignal(signal_number)}});
  daemon->reset();
  log_info("daemon", "stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string config_file = "/etc/understudy/understudyd.toml";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--config" && i + 1 < argc) {
      config_file = argv[++i];
    } else if (word == "--version") {
      std::printf("understudyd %s\n", UNDERSTUDY_VERSION);
      return 0;
    } else {
      std::fputs(kUsage, word == "--help" ? stdout : stderr);
      return word == "--help" ? 0 : 2;
    }
  }
  return run(config_file);
}
