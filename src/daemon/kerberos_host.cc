#include "daemon/kerberos_host.h"

#include <chrono>

#include "base/log.h"
#include "base/pack.h"

namespace understudy::daemon {
namespace {

constexpr Duration kTurn = Duration::seconds(10);
constexpr Duration kAnswer = Duration::seconds(5);  // for what takes less than a millisecond

tl::unexpected<Error> cannot_say(const std::string& why) {
  return fail(ErrorCode::not_available, "tokens of Kerberos cannot be judged now: " + why,
              "ask again in a few seconds");
}

}  // namespace

KerberosHost::KerberosHost(const Parts& parts) : keytab_(parts.keytab) {
  setup_.product_version = UNDERSTUDY_VERSION;
  setup_.log_debug = parts.log_debug;
  setup_.log_json = parts.log_json;
}

Result<std::unique_ptr<KerberosHost>> KerberosHost::start(const Parts& parts) {
  std::unique_ptr<KerberosHost> host(new KerberosHost(parts));
  (void)host->read_keys();
  ipc::HelperProcess::Options options;
  options.program = "understudy-kerberos";
  options.user = "understudy-krb";
  options.root = parts.root;
  options.own_files = {"replays"};
  options.setup = pack(host->setup_);
  options.on_lane = [self = host.get()](net::Fd lane) {
    const std::lock_guard lock(self->mutex_);
    self->lane_ = std::make_shared<ipc::Lane>(std::move(lane), self->stop_);
    self->changed_.notify_all();
  };
  options.renewed = [self = host.get()]() -> std::optional<Bytes> {
    if (!self->read_keys()) return std::nullopt;
    return pack(self->setup_);
  };
  US_TRY(host->process_, ipc::HelperProcess::start(std::move(options)));
  return host;
}

void KerberosHost::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.cancel();
  changed_.notify_all();
}

// True: there are other keys now. What goes wrong is told once; the keys before stay, as half of a change may
// be all that is there yet.
bool KerberosHost::read_keys() {
  auto keys = authz::load_service_keys(keytab_);
  const std::lock_guard lock(mutex_);
  if (!keys) {
    if (trouble_ != keys.error())
      log_error("kerberos", "the keytab cannot be used", {{"error", keys.error().text()}});
    trouble_ = keys.error();
    return false;
  }
  trouble_.reset();
  if (*keys == setup_.keys) return false;
  setup_.keys = std::move(*keys);
  log_info("kerberos", "has keys of this host", {{"keytab", keytab_}, {"keys", setup_.keys.size()}});
  return true;
}

Result<std::shared_ptr<ipc::Lane>> KerberosHost::take_turn() {
  std::unique_lock lock(mutex_);
  const bool mine = changed_.wait_for(lock, std::chrono::microseconds(kTurn.us),
                                      [this] { return stopping_ || (lane_ && !busy_); });
  if (stopping_) return cannot_say("the service is stopping");
  if (!mine) return cannot_say(lane_ ? "too many came" : "understudy-kerberos does not run");
  busy_ = true;
  return lane_;
}

void KerberosHost::end_turn(const std::shared_ptr<ipc::Lane>& lane, bool whole) {
  const std::lock_guard lock(mutex_);
  busy_ = false;
  if (!whole && lane_ == lane) lane_.reset();  // the process ends when it closes, and another brings its own
  changed_.notify_all();
}

Result<authz::Ticket> KerberosHost::judge(const std::string& token) {
  if (token.size() > authz::kMostToken) return fail(ErrorCode::unauthenticated, "the token is too long");
  US_TRY(const std::shared_ptr<ipc::Lane> lane, take_turn());
  const Status sent = lane->send(ipc::Word::token, as_bytes(token), authz::kMostToken, kAnswer);
  auto answer = sent ? lane->receive(ipc::kMostTicket, kAnswer) : fail(sent.error());
  auto ticket = answer && answer->word == ipc::Word::ticket ? unpack<Result<authz::Ticket>>(answer->payload)
                                                            : std::nullopt;
  end_turn(lane, ticket.has_value());
  if (!answer) return cannot_say(answer.error().message());
  if (!ticket) return cannot_say("the answer cannot be read");
  return std::move(*ticket);
}

Finding KerberosHost::finding() const {
  const std::lock_guard lock(mutex_);
  if (trouble_)
    return {ReplicationHealth::warning, "kerberos",
            "nobody can rely on logging in by Kerberos: " + trouble_->message(), trouble_->hint()};
  return {ReplicationHealth::ok, "kerberos", "Kerberos has a key of this host", {}};
}

}  // namespace understudy::daemon
