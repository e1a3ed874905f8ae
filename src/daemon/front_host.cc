#include "daemon/front_host.h"

#include "base/limits.h"
#include "base/pack.h"

namespace understudy::daemon {
namespace {

constexpr const char* kUser = "understudy-front";
constexpr Duration kLeft = Duration::seconds(5);  // the front of a daemon that was killed needs that to end

// What had this address may be ending.
template <class Listen>
Result<net::Fd> listen(Listen attempt) {
  const Monotonic until = net::deadline_in(kLeft);
  while (true) {
    auto listener = attempt();
    if (listener || net::deadline_in({}) > until) return listener;
    CancelToken::wait({}, Duration::millis(50));
  }
}

}  // namespace

FrontHost::FrontHost(const Parts& parts, ipc::Clients clients)
    : server_(parts.sessions, clients, limits::kMostHttpConnections) {}

Status FrontHost::start(const Parts& parts, net::Fd listener, std::optional<ipc::ServerTls> tls) {
  ipc::HelperProcess::Options options;
  options.program = "understudy-front";
  options.user = kUser;
  options.root = parts.root;
  options.setup = pack(ipc::FrontSetup{UNDERSTUDY_VERSION, parts.log_debug, parts.log_json, std::move(tls)});
  options.listener = std::move(listener);
  options.on_lane = [this](net::Fd lane) { server_.take(std::move(lane)); };
  US_TRY(process_, ipc::HelperProcess::start(std::move(options)));
  return {};
}

Result<std::unique_ptr<FrontHost>> FrontHost::remote(const Parts& parts, const Config::Management& m) {
  ipc::ServerTls tls;
  tls.certificate_file = m.certificate;
  tls.key_file = m.key;
  tls.authority_file = m.authority;
  US_TRY(static_cast<net::TlsTexts&>(tls), net::read_tls_texts(tls.options()));
  US_TRY(net::Fd listener, listen([&] { return net::listen_tcp(m.address, m.port); }));
  std::unique_ptr<FrontHost> front(new FrontHost(parts, ipc::Clients::remote));
  US_CHECK(front->start(parts, std::move(listener), std::move(tls)));
  return front;
}

Result<std::unique_ptr<FrontHost>> FrontHost::local(const Parts& parts, const std::string& socket) {
  US_TRY(net::Fd listener, listen([&] { return net::listen_unix(socket, 0600); }));
  std::unique_ptr<FrontHost> front(new FrontHost(parts, ipc::Clients::local));
  US_CHECK(front->start(parts, std::move(listener), std::nullopt));
  return front;
}

}  // namespace understudy::daemon
