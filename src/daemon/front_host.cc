#include "daemon/front_host.h"

#include "base/limits.h"
#include "base/log.h"
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
    : setup_{UNDERSTUDY_VERSION, parts.log_debug, parts.log_json, std::nullopt},
      server_(parts.sessions, clients, limits::kMostHttpConnections) {}

Status FrontHost::start(const std::string& root, net::Fd listener) {
  ipc::HelperProcess::Options options;
  options.program = "understudy-front";
  options.user = kUser;
  options.root = root;
  options.setup = pack(setup_);
  options.listener = std::move(listener);
  options.on_lane = [this](net::Fd lane) { server_.take(std::move(lane)); };
  if (setup_.tls) options.renewed = [this] { return renewed(); };
  US_TRY(process_, ipc::HelperProcess::start(std::move(options)));
  return {};
}

// What the files hold now, when it is another thing and works; half of a renewal does not.
std::optional<Bytes> FrontHost::renewed() {
  ipc::ServerTls now = *setup_.tls;
  auto texts = net::read_tls_texts(now.options());
  if (!texts) return std::nullopt;  // between two files of a renewal
  static_cast<net::TlsTexts&>(now) = std::move(*texts);
  if (now == setup_.tls || now == refused_) return std::nullopt;
  if (const auto context = net::TlsContext::server(now.options(), now); !context) {
    log_error("wsman", "changed certificates cannot be used; the ones before stay",
              {{"error", context.error().text()}});
    refused_ = std::move(now);
    return std::nullopt;
  }
  log_info("wsman", "certificates were renewed", {{"certificate", now.certificate_file}});
  setup_.tls = std::move(now);
  return pack(setup_);
}

Result<std::unique_ptr<FrontHost>> FrontHost::remote(const Parts& parts, const Config::Management& m) {
  std::unique_ptr<FrontHost> front(new FrontHost(parts, ipc::Clients::remote));
  ipc::ServerTls& tls = front->setup_.tls.emplace();
  tls.certificate_file = m.certificate;
  tls.key_file = m.key;
  tls.authority_file = m.authority;
  US_TRY(static_cast<net::TlsTexts&>(tls), net::read_tls_texts(tls.options()));
  US_TRY(net::Fd listener, listen([&] { return net::listen_tcp(m.address, m.port); }));
  US_CHECK(front->start(parts.root, std::move(listener)));
  return front;
}

Result<std::unique_ptr<FrontHost>> FrontHost::local(const Parts& parts, const std::string& socket) {
  std::unique_ptr<FrontHost> front(new FrontHost(parts, ipc::Clients::local));
  US_TRY(net::Fd listener, listen([&] { return net::listen_unix(socket, 0600); }));
  US_CHECK(front->start(parts.root, std::move(listener)));
  return front;
}

}  // namespace understudy::daemon
