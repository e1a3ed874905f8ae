#include "kerberos/kerberos.h"

#include <unistd.h>

#include <mutex>

#include "base/log.h"
#include "base/pack.h"
#include "base/thread.h"
#include "ipc/lane.h"
#include "ipc/setup.h"
#include "kerberos/acceptor.h"

namespace understudy::kerberos {
namespace {

constexpr Duration kHandOver = Duration::seconds(10);
constexpr Duration kForever = Duration::seconds(86400);

// What tokens are opened with; replaced when the keytab has changed.
class InUse {
 public:
  Status set(const std::vector<authz::ServiceKey>& keys) {
    US_TRY(auto fresh, Acceptor::make(keys, std::string("/") + kReplays));
    const std::lock_guard lock(mutex_);
    acceptor_ = std::move(fresh);
    return {};
  }
  Result<authz::Ticket> accept(const std::string& token) {
    const std::lock_guard lock(mutex_);
    return acceptor_->accept(token);
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Acceptor> acceptor_;
};

// Until the daemon breaks off.
Status answer_all(ipc::Lane& lane, InUse& keys) {
  while (true) {
    US_TRY(const ipc::Message message, lane.receive(authz::kMostToken, kForever));
    if (message.word != ipc::Word::token) return fail(ErrorCode::protocol, "a word out of turn");
    const Bytes answer = pack(keys.accept(std::string(as_text(message.payload))));
    US_CHECK(lane.send(ipc::Word::ticket, answer, ipc::kMostTicket, kHandOver));
  }
}

}  // namespace

Status serve(ipc::Control& control) {
  US_TRY(const ipc::Given given, ipc::take_setup(control, UNDERSTUDY_VERSION));
  InUse keys;
  US_CHECK(keys.set(given.setup.keys));
  US_CHECK(control.send(ipc::Notice::ready));
  ipc::Lanes lanes(control);
  US_TRY(net::Fd opened, lanes.open());
  ipc::Lane lane(std::move(opened), {});
  // A daemon that has given the lane up gets another process.
  const Thread tokens("tokens", [&lane, &keys] {
    const Status ended = answer_all(lane, keys);
    if (ended.error().code() == ErrorCode::not_available) _exit(0);
    log_error("kerberos", "ends", {{"cause", ended.error().text()}});
    _exit(1);
  });
  ipc::serve_to_the_end(control, [&keys](const ipc::Setup& setup) {
    if (const Status taken = keys.set(setup.keys); !taken)
      log_error("kerberos", "changed keys cannot be used; those before stay",
                {{"error", taken.error().text()}});
  });
}

}  // namespace understudy::kerberos
