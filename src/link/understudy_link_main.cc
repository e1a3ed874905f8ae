// understudy-link: the replication listener for understudyd, which starts it. TLS and frames of the network
// end here; the daemon gets frames made anew. Standard input is its end of the control channel.
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "base/pack.h"
#include "ipc/confine.h"
#include "ipc/control.h"
#include "ipc/lane.h"
#include "ipc/setup.h"
#include "link/relay.h"
#include "link/server.h"
#include "link/socket_wire.h"

namespace understudy::link {
namespace {

// A conversation's socket to the daemon; several threads ask for one.
class Lanes {
 public:
  explicit Lanes(ipc::Control& control) : control_(control) {}
  Result<net::Fd> open() {
    US_TRY(ipc::LaneEnds ends, ipc::make_lane());
    const std::lock_guard lock(mutex_);
    US_CHECK(control_.send(ipc::Notice::lane, {}, {ends.theirs.get()}));
    return std::move(ends.ours);
  }

 private:
  std::mutex mutex_;
  ipc::Control& control_;
};

Status serve(ipc::Control& control) {
  US_TRY(ipc::Given given, ipc::take_setup(control, UNDERSTUDY_VERSION));
  if (!given.setup.tls) return fail(ErrorCode::protocol, "a replication listener needs certificates");
  US_TRY(net::TlsContext context, given.setup.tls->context());
  SystemClock clock;
  Lanes lanes(control);
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

}  // namespace
}  // namespace understudy::link

int main(int argc, char** argv) {
  using namespace understudy;
  const auto confinement = ipc::confinement_of(argc, argv);
  if (!confinement) {
    std::fputs("understudy-link is started by understudyd\n", stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  ipc::Control control{net::Fd(STDIN_FILENO)};
  Status ended = ipc::confine(*confinement);
  if (ended) ended = link::serve(control);
  (void)control.send(ipc::Notice::failed, pack(ended.error()));
  return 1;
}
