// Sessions whose other half is another process: RemoteSessions where clients are spoken with, SessionServer
// where the object manager is. A lane for each session (lane.h).
#pragma once

#include "base/cancel.h"
#include "cim/xml_tree.h"
#include "ipc/control.h"
#include "ipc/conversations.h"
#include "ipc/lane.h"
#include "session/session.h"

namespace understudy::ipc {

// Any thread. An error of the other process is ErrorCode::not_available.
class RemoteSessions final : public session::Sessions {
 public:
  // `parse` reads the XML in parameters, which ends here. `control` outlives this.
  RemoteSessions(Control& control, cim::XmlParser parse) : lanes_(control), parse_(std::move(parse)) {}
  Result<std::unique_ptr<session::Session>> open() override;

 private:
  const CancelToken never_;
  Lanes lanes_;
  const cim::XmlParser parse_;
};

// What the process at the other end may say about its clients.
enum class Clients : uint8_t {
  local,   // the kernel's word about who is at the local socket, and nothing else
  remote,  // passwords and certificates, and never that somebody is at the local socket
};

// One thread for each session. Whoever breaks the protocol loses the session, and is in the log.
class SessionServer {
 public:
  // `sessions` outlives the server.
  SessionServer(session::Sessions& sessions, Clients clients, size_t most)
      : sessions_(sessions),
        clients_(clients),
        conversations_("session", most,
                       [this](net::Fd lane, const CancelToken& stop) { serve(std::move(lane), stop); }) {}
  void take(net::Fd lane) { conversations_.take(std::move(lane)); }

 private:
  void serve(net::Fd lane, const CancelToken& stop);
  Status answer(Lane& lane, session::Session& session, const Message& message);

  session::Sessions& sessions_;
  const Clients clients_;
  Conversations conversations_;  // ends first
};

}  // namespace understudy::ipc
