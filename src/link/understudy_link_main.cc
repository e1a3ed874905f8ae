// understudy-link: replication connections for understudyd, which starts it: one process that listens for
// primaries, one that speaks with replica hosts. TLS and frames of the network end here; the daemon gets
// frames made anew. Standard input is its end of the control channel.
#include "ipc/lane.h"
#include "ipc/setup.h"
#include "link/outgoing.h"
#include "link/relay.h"
#include "link/server.h"
#include "link/socket_wire.h"

namespace understudy::link {
namespace {

Status serve_primaries(ipc::Control& control, ipc::Given given) {
  if (!given.setup.tls) return fail(ErrorCode::protocol, "a replication listener needs certificates");
  US_TRY(net::TlsContext context, given.setup.tls->server());
  SystemClock clock;
  ipc::Lanes lanes(control);
  const CancelToken never;
  US_CHECK(control.send(ipc::Notice::ready));
  LinkServer server(
      std::move(context), std::move(given.listener),
      [&](TlsWire& network, const transfer::PeerIdentity& peer) -> Status {
        US_TRY(net::Fd lane, lanes.open());
        SocketWire daemon(std::move(lane), never);
        US_CHECK(announce(daemon, peer));
        return relay(network, daemon, Side::replica);
      },
      clock);
  ipc::serve_to_the_end(control, &server.tls());
}

Status serve(ipc::Control& control) {
  US_TRY(ipc::Given given, ipc::take_setup(control, UNDERSTUDY_VERSION));
  if (given.listener) return serve_primaries(control, std::move(given));
  return ipc::carry_out_to_the_end(control, "link-out", limits::kMostLinkConnections, carry_out);
}

}  // namespace
}  // namespace understudy::link

int main(int argc, char** argv) {
  return understudy::ipc::confined_main(argc, argv, "understudy-link", understudy::link::serve);
}
