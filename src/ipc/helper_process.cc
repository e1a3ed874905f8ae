#include "ipc/helper_process.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/child.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/pack.h"

namespace understudy::ipc {
namespace {

constexpr Duration kReady = Duration::seconds(10);
constexpr Duration kLeft = Duration::seconds(5);  // the processes of a daemon that was killed end at once
constexpr Duration kAgain = Duration::millis(50);
constexpr Duration kEnd = Duration::seconds(3);
constexpr Duration kSteady = Duration::seconds(60);  // who lived so long is started again at once

Status find_user(const std::string& name, Confinement& confinement) {
  std::array<char, 4096> space;
  passwd entry{};
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found) != 0 || found == nullptr)
    return fail(ErrorCode::not_found, "there is no user " + name + " for a process that faces the network",
                "systemd-sysusers understudy.conf");
  confinement.user = entry.pw_uid;
  confinement.group = entry.pw_gid;
  return {};
}

// What it wrote in a life before stays.
Status make_own_file(const std::string& path, const Confinement& owner) {
  const net::Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file || fchown(file.get(), owner.user, owner.group) != 0)
    return fail_errno(errno, "cannot make " + path);
  return {};
}

std::string how_it_ended(const std::optional<int>& status) {
  if (!status) return "did not end by itself";
  if (WIFSIGNALED(*status)) return "signal " + std::to_string(WTERMSIG(*status));
  return "exit code " + std::to_string(WEXITSTATUS(*status));
}

}  // namespace

Result<net::Fd> listen_patiently(const std::function<Result<net::Fd>()>& listen) {
  const Monotonic until = net::deadline_in(kLeft);
  while (true) {
    auto listener = listen();
    if (listener || net::deadline_in({}) > until) return listener;
    CancelToken::wait({}, kAgain);
  }
}

Result<std::unique_ptr<HelperProcess>> HelperProcess::start(Options options) {
  std::unique_ptr<HelperProcess> helper(new HelperProcess(std::move(options)));
  const Options& o = helper->options_;
  US_CHECK(find_user(o.user, helper->confinement_));
  if (mkdir(o.root.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, "cannot make the folder " + o.root);
  helper->confinement_.root = o.root;
  for (const std::string& file : o.own_files)
    US_CHECK(make_own_file(o.root + "/" + file, helper->confinement_));
  US_CHECK(helper->launch());
  helper->thread_ = Thread("helper", [self = helper.get()] { self->watch(); });
  return helper;
}

HelperProcess::~HelperProcess() {
  stop_.cancel();
  thread_.join();
  reap();
}

Status HelperProcess::launch() {
  US_TRY(const std::string program, beside_this_program(options_.program));
  US_TRY(net::SocketPair ends, net::socket_pair(SOCK_SEQPACKET));
  Program start;
  start.words = words_of(confinement_);
  start.words.insert(start.words.begin(), program);
  start.environment.emplace();
  start.input = ends.theirs.get();
  start.errors = STDERR_FILENO;
  start.group = Program::Group::own;
  US_TRY(child_, start_program(start));
  ends.theirs = net::Fd();
  auto control = std::make_unique<Control>(std::move(ends.ours));
  const Status told = options_.listener
                          ? control->send(Notice::setup, options_.setup, {options_.listener.get()})
                          : control->send(Notice::setup, options_.setup);
  auto first = told ? control->receive(kReady, stop_) : fail(told.error());
  if (first && first->notice == Notice::ready) {
    const std::lock_guard lock(mutex_);
    control_ = std::move(control);
    return {};
  }
  Error cause = first ? Error(ErrorCode::protocol, "it does not say that it is ready") : first.error();
  if (first && first->notice == Notice::failed) cause = unpack<Error>(first->payload).value_or(cause);
  control.reset();
  reap();
  return fail(cause.context(options_.program));
}

std::optional<int> HelperProcess::reap() {
  {
    const std::lock_guard lock(mutex_);
    control_.reset();  // it ends when this closes
  }
  if (child_ < 0) return std::nullopt;
  return end_of(std::exchange(child_, -1), Program::Group::own, kEnd);
}

void HelperProcess::hand_over_renewed() {
  auto setup = options_.renewed ? options_.renewed() : std::nullopt;
  if (!setup) return;
  options_.setup = std::move(*setup);
  const std::lock_guard lock(mutex_);
  // To one that has ended: the next gets it at its start.
  (void)control_->send(Notice::setup, options_.setup);
}

Status HelperProcess::give(ByteView payload, std::initializer_list<int> descriptors) {
  const std::lock_guard lock(mutex_);
  if (!control_) return fail(ErrorCode::not_available, options_.program + " has ended, and is started again");
  return control_->send(Notice::lane, payload, descriptors);
}

// Until it is gone, or breaks the protocol, which is as good.
Status HelperProcess::hear_until_end() {
  Monotonic look = net::deadline_in(kLookAgain);
  while (true) {
    const Monotonic now = net::deadline_in({});
    if (now >= look) {  // also when it has much to say
      hand_over_renewed();
      look = now + kLookAgain;
    }
    auto message = control_->receive(look - now, stop_);
    if (!message && message.error().code() == ErrorCode::timeout) continue;
    if (!message) return fail(message.error());
    if (message->notice != Notice::lane || message->descriptors.size() != 1 || !options_.on_lane)
      return fail(ErrorCode::protocol, options_.program + " says what it must not");
    options_.on_lane(std::move(message->descriptors.front()));
  }
}

void HelperProcess::watch() {
  while (!stop_.cancelled()) {
    const Monotonic since = SystemClock().now().monotonic;
    const Status ended = hear_until_end();
    if (stop_.cancelled()) return;
    if (ended.error().code() == ErrorCode::protocol)
      log_error("process", "ended for what it said", {{"error", ended.error().text()}});
    log_error("process", "a process has ended, and is started again",
              {{"program", options_.program}, {"how", how_it_ended(reap())}});
    // One that ends again and again is not started all the time.
    Duration pause = limits::kRetryFirst;
    if (SystemClock().now().monotonic - since < kSteady && CancelToken::wait({stop_}, pause)) return;
    for (Status started = launch(); !started; started = launch()) {
      if (stop_.cancelled()) return;
      serving_ = false;
      log_error("process", "cannot be started again", {{"error", started.error().text()}});
      if (CancelToken::wait({stop_}, pause)) return;
      pause = std::min(pause + pause, limits::kRetryMost);
    }
    serving_ = true;
  }
}

}  // namespace understudy::ipc
