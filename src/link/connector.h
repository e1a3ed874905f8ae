// Makes connections to replica hosts. Lives as long as the daemon; any thread.
#pragma once

#include "link/tls_wire.h"
#include "transfer/throttle.h"

namespace understudy::link {

class TlsConnector final : public transfer::Connector {
 public:
  // `throttle` is this host's, shared by all transfers; none: unlimited. `clock` outlives the connector.
  TlsConnector(LinkIdentity identity, const Clock& clock, std::shared_ptr<transfer::Throttle> throttle)
      : identity_(std::move(identity)), clock_(clock), throttle_(std::move(throttle)) {}
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
};

}  // namespace understudy::link
