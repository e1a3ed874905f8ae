// understudy-link: the replication listener for understudyd, which starts it. TLS and frames of the network
// end here; the daemon gets frames made anew. Standard input is its end of the control channel.
#include "ipc/lane.h"
#include "ipc/setup.h"
#include "link/relay.h"
#include "link/server.h"
#include "link/socket_wire.h"

namespace understudy::link {

static Status serve(ipc::Control& control) {
  US_TRY(ipc::Given given, ipc::take_setup(control, UNDERSTUDY_VERSION));
  if (!given.setup.tls) return fail(ErrorCode::protocol, "a replication listener needs certificates");
  US_TRY(net::TlsContext context, given.setup.tls->context());
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
        return relay(network, daemon);
      },
      clock);
  ipc::serve_to_the_end(control, &server.tls());
}

}  // namespace understudy::link

int main(int argc, char** argv) {
  return understudy::ipc::confined_main(argc, argv, "understudy-link", understudy::link::serve);
}
