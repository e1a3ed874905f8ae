#include "session/session.h"

#include "cim/fault.h"

namespace understudy::session {
namespace {

class LocalSession final : public Session {
 public:
  LocalSession(const authz::Gate& gate, cim::Dispatcher& dispatcher) : gate_(gate), dispatcher_(dispatcher) {}

  Result<authz::Identity> log_in(const authz::Evidence& evidence) override {
    who_.reset();
    US_TRY(authz::Identity who, gate_.identify(evidence));
    return who_.emplace(std::move(who));
  }
  cim::Outcome<cim::Response> handle(const cim::Request& request) override {
    if (!who_) return cim::fault(Error(ErrorCode::unauthenticated, "nobody has logged in"), "w:AccessDenied");
    const authz::Identity who = *who_;
    if (who.method == authz::kByKerberos) who_.reset();
    return dispatcher_.handle({who.name, who.method, who.from, authz::text_of(who.roles)}, request);
  }

 private:
  const authz::Gate& gate_;
  cim::Dispatcher& dispatcher_;
  std::optional<authz::Identity> who_;  // empty: nobody
};

}  // namespace

Result<std::unique_ptr<Session>> LocalSessions::open() {
  return std::make_unique<LocalSession>(gate_, dispatcher_);
}

}  // namespace understudy::session
