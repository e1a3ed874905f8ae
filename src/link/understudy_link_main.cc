// understudy-link: replication connections for understudyd, which starts it: one process that listens for
// primaries, one that speaks with replica hosts. TLS and frames of the network end here; the daemon gets
// frames made anew. Standard input is its end of the control channel.
#include "ipc/conversations.h"
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

Status serve_outgoing(ipc::Control& control) {
  ipc::Conversations conversations("link-out", limits::kMostLinkConnections);
  US_CHECK(control.send(ipc::Notice::ready));
  ipc::serve_to_the_end(control, nullptr, [&conversations](ipc::ControlMessage message) {
    if (message.descriptors.size() != 2) return;
    auto given = std::make_shared<ipc::ControlMessage>(std::move(message));
    conversations.run([given](const CancelToken& stop) {
      carry_out(given->payload, std::move(given->descriptors[0]), std::move(given->descriptors[1]), stop);
    });
  });
}

Status serve(ipc::Control& control) {
  US_TRY(ipc::Given given, ipc::take_setup(control, UNDERSTUDY_VERSION));
  return given.listener ? serve_primaries(control, std::move(given)) : serve_outgoing(control);
}

}  // namespace
}  // namespace understudy::link

int main(int argc, char** argv) {
  return understudy::ipc::confined_main(argc, argv, "understudy-link", understudy::link::serve);
}
