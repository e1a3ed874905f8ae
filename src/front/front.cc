#include "front/front.h"

#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/pack.h"
#include "http/server.h"
#include "ipc/sessions.h"
#include "wsman/service.h"

namespace understudy::front {
namespace {

constexpr Duration kSetup = Duration::seconds(10);
constexpr Duration kForever = Duration::seconds(86400);

struct Given {
  ipc::FrontSetup setup;
  net::Fd listener;
};

Result<Given> take_setup(ipc::Control& control) {
  US_TRY(ipc::ControlMessage message, control.receive(kSetup, {}));
  auto setup = unpack<ipc::FrontSetup>(message.payload);
  if (message.notice != ipc::Notice::setup || !setup || message.descriptors.size() != 1)
    return fail(ErrorCode::protocol, "the daemon sent no setup");
  if (setup->product_version != UNDERSTUDY_VERSION)
    return fail(ErrorCode::invalid_state,
                "understudyd is " + setup->product_version + ", its understudy-front is " UNDERSTUDY_VERSION,
                "install both from one package");
  return Given{std::move(*setup), std::move(message.descriptors.front())};
}

// None: the local socket.
Result<std::unique_ptr<net::TlsInUse>> tls_of(const ipc::FrontSetup& setup) {
  if (!setup.tls) return nullptr;
  US_TRY(net::TlsContext context, net::TlsContext::server(setup.tls->options(), *setup.tls));
  return std::make_unique<net::TlsInUse>(std::move(context));
}

// The daemon says something more only when certificates were renewed; it has tried them.
void take_renewed(const ipc::ControlMessage& message, net::TlsInUse* tls) {
  const auto setup = unpack<ipc::FrontSetup>(message.payload);
  if (message.notice != ipc::Notice::setup || !setup || !setup->tls || tls == nullptr) return;
  auto context = net::TlsContext::server(setup->tls->options(), *setup->tls);
  if (context) tls->set(std::move(*context));
}

Status serve(ipc::Control& control, Given given) {
  US_TRY(const std::unique_ptr<net::TlsInUse> tls, tls_of(given.setup));
  SystemClock clock;
  ipc::RemoteSessions sessions(control, [](std::string_view text) { return wsman::parse_xml(text); });
  wsman::WsmanService service(sessions, clock, {.version = UNDERSTUDY_VERSION});
  std::vector<http::Listener> listeners;
  listeners.push_back({std::move(given.listener), tls.get()});
  // Nothing can fail any more, and clients wait at the listener: no lane may come before this word.
  US_CHECK(control.send(ipc::Notice::ready));
  const http::HttpServer server(
      std::move(listeners), [&service](const http::ConnectionInfo& info) { return service.welcome(info); });
  // At the end of the daemon everything ends at once: clients whose answer nobody can give.
  while (true) {
    const auto message = control.receive(kForever, {});
    if (message)
      take_renewed(*message, tls.get());
    else if (message.error().code() != ErrorCode::timeout)
      _exit(0);
  }
}

}  // namespace

Status run(ipc::Control& control) {
  auto given = take_setup(control);
  if (given) set_log(given->setup.log_debug ? LogLevel::debug : LogLevel::info, given->setup.log_json);
  const Status ended = given ? serve(control, std::move(*given)) : fail(given.error());
  (void)control.send(ipc::Notice::failed, pack(ended.error()));
  return ended;
}

}  // namespace understudy::front
