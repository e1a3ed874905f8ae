#include "link/connector.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/limits.h"
#include "base/pack.h"
#include "link/outgoing.h"
#include "link/relay.h"
#include "link/socket_wire.h"
#include "transfer/client.h"

namespace understudy::link {

// After the time for the handshake: in which the process says that it was too long.
constexpr Duration kItsWord = Duration::seconds(2);

Result<std::unique_ptr<transfer::Peer>> LinkConnector::connect(const std::string& host, uint16_t port,
                                                               Duration deadline, const CancelToken& cancel) {
  auto peer = try_connect(host, port, deadline, cancel);
  if (!peer) return fail(peer.error().context("replica host " + host + " port " + std::to_string(port)));
  return peer;
}

Result<std::unique_ptr<transfer::Peer>> LinkConnector::try_connect(const std::string& host, uint16_t port,
                                                                   Duration deadline,
                                                                   const CancelToken& cancel) {
  const Monotonic until = net::deadline_in(deadline);
  const auto left = [&](Duration most) { return std::min(most, until - net::deadline_in({})); };
  Outgoing outgoing;
  outgoing.host = host;
  outgoing.tls = tls_setup(identity_);
  US_CHECK(outgoing.tls.read());
  US_TRY(net::Connection connection, net::connect_tcp(host, port, left(limits::kLinkConnect), cancel));
  outgoing.address = connection.peer;
  outgoing.handshake_us = left(limits::kLinkHandshake).us;
  US_TRY(net::SocketPair lane, net::socket_pair(SOCK_STREAM));
  US_CHECK(give_(pack(outgoing), connection.fd.get(), lane.theirs.get()));
  connection.fd = {};  // the process has them
  lane.theirs = {};
  auto wire = std::make_unique<SocketWire>(std::move(lane.ours), cancel);
  US_TRY(const transfer::PeerIdentity peer,
         read_announced(*wire, Duration{outgoing.handshake_us} + kItsWord));
  wire->heed([good = still_good_, peer] { return good(peer); });
  US_TRY(auto client, transfer::Client::greet(std::move(wire), make_hello(identity_, clock_),
                                              left(limits::kLinkHandshake), throttle_));
  return client;
}

}  // namespace understudy::link
