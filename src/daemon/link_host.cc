#include "daemon/link_host.h"

#include "base/limits.h"
#include "base/log.h"
#include "link/relay.h"
#include "link/socket_wire.h"
#include "transfer/session.h"

namespace understudy::daemon {

LinkHost::LinkHost(const Parts& parts, ipc::TlsSetup tls, uint16_t port)
    : parts_(parts),
      port_(port),
      setup_({UNDERSTUDY_VERSION, parts.log_debug, parts.log_json, std::move(tls)}),
      conversations_("link-serve", limits::kMostLinkConnections,
                     [this](net::Fd lane, const CancelToken& stop) { serve(std::move(lane), stop); }) {}

Result<std::unique_ptr<LinkHost>> LinkHost::start(const Parts& parts, const std::string& address,
                                                  uint16_t port) {
  ipc::TlsSetup tls = link::tls_setup(parts.identity);
  US_CHECK(tls.read());
  ipc::HelperProcess::Options options;
  US_TRY(options.listener, ipc::listen_patiently([&] { return net::listen_tcp(address, port); }));
  std::unique_ptr<LinkHost> host(new LinkHost(parts, std::move(tls), port));
  options.program = "understudy-link";
  options.user = "understudy-link";
  options.root = parts.root;
  options.setup = host->setup_.packed();
  options.on_lane = [self = host.get()](net::Fd lane) { self->conversations_.take(std::move(lane)); };
  options.renewed = [self = host.get()] { return self->setup_.renewed(); };
  US_TRY(host->process_, ipc::HelperProcess::start(std::move(options)));
  return host;
}

void LinkHost::serve(net::Fd lane, const CancelToken& stop) {
  link::DaemonWire wire(std::move(lane), stop);
  const auto peer = link::read_announced(wire.plain(), limits::kLinkHandshake);
  if (peer) wire.heed([&] { return parts_.still_good(*peer); });
  const Status ended =
      peer ? transfer::serve(wire, *peer, link::make_hello(parts_.identity, parts_.clock), parts_.service)
           : fail(peer.error());
  if (!ended && ended.error().code() != ErrorCode::cancelled)
    log_warning("link", "a replication connection ended with an error",
                {{"peer", peer ? peer->address : std::string()}, {"error", ended.error().text()}});
}

}  // namespace understudy::daemon
