#include "link/connector.h"

#include <algorithm>

#include "transfer/client.h"

namespace understudy::link {

Result<std::unique_ptr<transfer::Peer>> TlsConnector::connect(const std::string& host, uint16_t port,
                                                              Duration deadline, const CancelToken& cancel) {
  auto peer = try_connect(host, port, deadline, cancel);
  if (!peer) return fail(peer.error().context("replica host " + host + " port " + std::to_string(port)));
  return peer;
}

Result<std::unique_ptr<transfer::Peer>> TlsConnector::try_connect(const std::string& host, uint16_t port,
                                                                  Duration deadline,
                                                                  const CancelToken& cancel) {
  const Monotonic until = net::deadline_in(deadline);
  const auto left = [&](Duration most) { return std::min(most, until - net::deadline_in({})); };
  US_TRY(const net::TlsContext context, net::TlsContext::client(tls_options(identity_)));
  US_TRY(net::Connection connection, net::connect_tcp(host, port, left(limits::kLinkConnect), cancel));
  const int fd = connection.fd.get();
  US_TRY(auto stream, context.connect(std::move(connection), host, left(limits::kLinkHandshake), cancel));
  US_CHECK(identity_of(*stream));
  auto wire = std::make_unique<TlsWire>(std::move(stream), fd);
  US_TRY(auto client, transfer::Client::greet(std::move(wire), make_hello(identity_, clock_),
                                              left(limits::kLinkHandshake), throttle_));
  return client;
}

}  // namespace understudy::link
