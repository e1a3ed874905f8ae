#include "daemon/front_host.h"

#include "base/limits.h"

namespace understudy::daemon {
namespace {

constexpr const char* kUser = "understudy-front";

}  // namespace

FrontHost::FrontHost(const Parts& parts, ipc::Clients clients, std::optional<ipc::TlsSetup> tls)
    : setup_({UNDERSTUDY_VERSION, parts.log_debug, parts.log_json, std::move(tls), parts.negotiate}),
      server_(parts.sessions, clients, limits::kMostHttpConnections) {}

Status FrontHost::start(const std::string& root, net::Fd listener) {
  ipc::HelperProcess::Options options;
  options.program = "understudy-front";
  options.user = kUser;
  options.root = root;
  options.setup = setup_.packed();
  options.listener = std::move(listener);
  options.on_lane = [this](net::Fd lane) { server_.take(std::move(lane)); };
  options.renewed = [this] { return setup_.renewed(); };
  US_TRY(process_, ipc::HelperProcess::start(std::move(options)));
  return {};
}

Result<std::unique_ptr<FrontHost>> FrontHost::remote(const Parts& parts, const Config::Management& m) {
  ipc::TlsSetup tls;
  tls.certificate_file = m.certificate;
  tls.key_file = m.key;
  tls.authority_file = m.authority;
  US_CHECK(tls.read());
  US_TRY(net::Fd listener, ipc::listen_patiently([&] { return net::listen_tcp(m.address, m.port); }));
  std::unique_ptr<FrontHost> front(new FrontHost(parts, ipc::Clients::remote, std::move(tls)));
  US_CHECK(front->start(parts.root, std::move(listener)));
  return front;
}

Result<std::unique_ptr<FrontHost>> FrontHost::local(const Parts& parts, const std::string& socket) {
  US_TRY(net::Fd listener, ipc::listen_patiently([&] { return net::listen_unix(socket, 0600); }));
  std::unique_ptr<FrontHost> front(new FrontHost(parts, ipc::Clients::local, std::nullopt));
  US_CHECK(front->start(parts.root, std::move(listener)));
  return front;
}

}  // namespace understudy::daemon
