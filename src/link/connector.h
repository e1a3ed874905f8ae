// Makes connections to replica hosts: resolves and connects here, all that the other side says is read by a
// process of its own (outgoing.h). Lives as long as the daemon; any thread.
#pragma once

#include <functional>

#include "link/tls_wire.h"
#include "transfer/throttle.h"

namespace understudy::link {

class LinkConnector final : public transfer::Connector {
 public:
  // To the process: a packed Outgoing, with a connected socket and its end of a lane. Both stay the caller's.
  using Give = std::function<Status(ByteView outgoing, int connection, int lane)>;
  // `throttle` is this host's, shared by all transfers; none: unlimited. `clock` outlives the connector.
  // `still_good` is asked of the replica host before anything is sent, and again with each piece.
  LinkConnector(LinkIdentity identity, const Clock& clock, std::shared_ptr<transfer::Throttle> throttle,
                Give give, StillGood still_good)
      : identity_(std::move(identity)),
        clock_(clock),
        throttle_(std::move(throttle)),
        give_(std::move(give)),
        still_good_(std::move(still_good)) {}
  // The certificate files are read each time, so that a renewed one counts from the next connection on.
  // `host` is what the other side's certificate must carry. Errors name host and port.
  Result<std::unique_ptr<transfer::Peer>> connect(const std::string& host, uint16_t port, Duration deadline,
                                                  const CancelToken& cancel) override;

 private:
  Result<std::unique_ptr<transfer::Peer>> try_connect(const std::string& host, uint16_t port,
                                                      Duration deadline, const CancelToken& cancel);
  const LinkIdentity identity_;
  const Clock& clock_;
  const std::shared_ptr<transfer::Throttle> throttle_;
  const Give give_;
  const StillGood still_good_;
};

}  // namespace understudy::link
