#include "link/outgoing.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/pack.h"
#include "link/relay.h"
#include "link/socket_wire.h"
#include "link/tls_wire.h"

namespace understudy::link {
namespace {

struct Proven {
  std::unique_ptr<TlsWire> wire;
  transfer::PeerIdentity peer;
};

Result<Proven> shake_hands(const Outgoing& outgoing, net::Fd connection, const CancelToken& stop) {
  US_TRY(const net::TlsContext context, outgoing.tls.client());
  const int fd = connection.get();
  US_TRY(auto stream, context.connect({std::move(connection), outgoing.address}, outgoing.host,
                                      Duration{outgoing.handshake_us}, stop));
  US_TRY(transfer::PeerIdentity peer, identity_of(*stream));
  return Proven{std::make_unique<TlsWire>(std::move(stream), fd), std::move(peer)};
}

}  // namespace

void carry_out(ByteView packed, net::Fd connection, net::Fd lane, const CancelToken& stop) {
  const auto outgoing = unpack<Outgoing>(packed);
  if (!outgoing) return log_error("link", "the daemon says nothing that can be understood");
  SocketWire daemon(std::move(lane), stop);
  auto proven = shake_hands(*outgoing, std::move(connection), stop);
  const Result<transfer::PeerIdentity> peer = proven ? Result<transfer::PeerIdentity>(proven->peer)
                                                     : Result<transfer::PeerIdentity>(fail(proven.error()));
  if (!announce(daemon, peer) || !proven) return;
  if (const Status ended = relay(*proven->wire, daemon, Side::primary); !ended)
    log_warning("link", "a replica host broke the protocol",
                {{"host", outgoing->host}, {"error", ended.error().text()}});
}

}  // namespace understudy::link
