// understudy-guard: makes a guest that was frozen for a cut write again when the daemon cannot. Started by
// the daemon (hypervisor/guard.h), never by hand:
//
//   understudy-guard URI UUID DOMAIN_ID MARK <SOCKET
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>

#include "base/limits.h"
#include "base/time.h"
#include "hypervisor/domain.h"
#include "hypervisor/guard.h"

namespace understudy::hypervisor {
namespace {

Monotonic now() {
  return SystemClock().now().monotonic;
}

void say(GuardWord word) {
  const char byte = static_cast<char>(word);
  static_cast<void>(::send(STDIN_FILENO, &byte, 1, MSG_NOSIGNAL));  // the daemon may be gone: hence the guard
}

// The mark, locked until this process ends; none when another guard has it.
Descriptor take_mark(const std::string& path, const std::string& domain) {
  Descriptor mark(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat there {};
  const bool ours = mark && ::flock(mark.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(mark.get(), &there) == 0 &&
                    there.st_nlink == 1 && ::ftruncate(mark.get(), 0) == 0 &&
                    ::write(mark.get(), domain.data(), domain.size()) == static_cast<ssize_t>(domain.size());
  return ours ? std::move(mark) : Descriptor();
}

class GuardedGuest {
 public:
  GuardedGuest(std::string uri, Uuid vm, unsigned domain)
      : uri_(std::move(uri)), vm_(std::move(vm)), id_(domain) {}

  bool find() {
    domain_.reset();
    connection_.reset(virConnectOpen(uri_.c_str()), [](virConnect* c) {
      if (c != nullptr) virConnectClose(c);
    });
    if (connection_ == nullptr) return false;
    domain_.reset(virDomainLookupByUUID(connection_.get(), vm_.bytes().data()));
    return domain_ != nullptr;
  }

  // Asks until the agent has answered, or there is nothing left that could be frozen.
  bool thaw() {
    const Monotonic until = now() + limits::kThawMost;
    int thawed = -1;
    while ((thawed = try_thaw()) < 0 && now() < until)
      ::poll(nullptr, 0, static_cast<int>(limits::kThawAgain.whole_millis()));
    if (thawed > 0)
      ::syslog(LOG_WARNING, "thawed %d file systems of VM %s, which was left frozen", thawed,
               vm_.lower().c_str());
    if (thawed < 0)
      ::syslog(LOG_ERR, "VM %s may be frozen, and its agent does not answer", vm_.lower().c_str());
    return thawed >= 0;
  }

 private:
  int try_thaw() {
    if (domain_ == nullptr && !find()) {
      const virError* error = virGetLastError();
      return error != nullptr && error->code == VIR_ERR_NO_DOMAIN ? 0 : -1;
    }
    if (virDomainGetID(domain_.get()) != id_) return 0;
    const int thawed = virDomainFSThaw(domain_.get(), nullptr, 0, 0);
    if (thawed >= 0) {
      virDomainAgentSetResponseTimeout(domain_.get(), VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
      return thawed;
    }
    domain_.reset();  // libvirtd may be another one now, and the domain off
    return -1;
  }

  const std::string uri_;
  const Uuid vm_;
  const unsigned id_;
  ConnectionRef connection_;
  DomainRef domain_;
};

// Until the daemon says that all is well. False when the guest is left to us.
bool all_is_well() {
  Monotonic until = now() + limits::kAgentAnswer * 2 + limits::kFrozenMost;
  while (true) {
    const Duration left = std::max(until - now(), Duration{});
    struct pollfd readable = {STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&readable, 1, static_cast<int>(left.whole_millis()));
    if (ready < 0 && errno == EINTR) continue;
    char word = 0;
    if (ready != 1 || ::recv(STDIN_FILENO, &word, 1, 0) != 1) return false;
    if (static_cast<GuardWord>(word) == GuardWord::done) return true;
    until = now() + limits::kFrozenMost;
  }
}

int run(char** words) {
  const Result<Uuid> vm = Uuid::parse(words[2]);
  if (!vm) return 2;
  const std::string mark_path = words[4];
  const Descriptor mark = take_mark(mark_path, words[3]);
  if (!mark) {
    say(GuardWord::busy);
    return 1;
  }
  GuardedGuest guest(words[1], *vm, static_cast<unsigned>(std::strtoul(words[3], nullptr, 10)));
  if (!guest.find()) {
    ::unlink(mark_path.c_str());
    return 1;
  }
  say(GuardWord::ready);
  if (all_is_well()) {
    ::unlink(mark_path.c_str());
    say(GuardWord::untouched);
    return 0;
  }
  if (!guest.thaw()) return 1;  // the mark stays: the daemon's next look at the VM tries again
  ::unlink(mark_path.c_str());
  say(GuardWord::thawed);
  return 0;
}

}  // namespace
}  // namespace understudy::hypervisor

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  // A service manager that ends the daemon ends its processes too; this one has something left to do.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) std::signal(number, SIG_IGN);
  if (const pid_t child = ::fork(); child != 0) ::_exit(child < 0 ? 1 : 0);
  static_cast<void>(::chdir("/"));
  ::openlog("understudy-guard", LOG_PID, LOG_DAEMON);
  virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
  return understudy::hypervisor::run(argv);
}
