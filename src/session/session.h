// The seam between whoever speaks with clients and whoever acts for them: one Session for each connection. It
// says who calls, by what the connection and a request prove, and takes requests in that name and no other.
#pragma once

#include <memory>

#include "authz/gate.h"
#include "cim/operation.h"

namespace understudy::session {

// For one thread. Ends with its connection.
class Session {
 public:
  virtual ~Session() = default;
  // Who calls from now on. After a refusal nobody does, whoever it was before: ErrorCode::unauthenticated, or
  // timeout when too many others are being checked.
  virtual Result<authz::Identity> log_in(const authz::Evidence& evidence) = 0;
  // For whom log_in() has let in last; without one it is refused unseen. Who came by a token of Kerberos is let
  // in for one request: a token counts once, and so does what it has proven. Blocks at most
  // limits::kMethodReply.
  virtual cim::Outcome<cim::Response> handle(const cim::Request& request) = 0;
};

// Any thread.
class Sessions {
 public:
  virtual ~Sessions() = default;
  virtual Result<std::unique_ptr<Session>> open() = 0;
};

// In one process with the object manager. Both outlive all sessions.
class LocalSessions final : public Sessions {
 public:
  LocalSessions(const authz::Gate& gate, cim::Dispatcher& dispatcher)
      : gate_(gate), dispatcher_(dispatcher) {}
  Result<std::unique_ptr<Session>> open() override;

 private:
  const authz::Gate& gate_;
  cim::Dispatcher& dispatcher_;
};

}  // namespace understudy::session
