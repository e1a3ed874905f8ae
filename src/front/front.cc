#include "front/front.h"

#include "http/server.h"
#include "ipc/sessions.h"
#include "ipc/setup.h"
#include "wsman/service.h"

namespace understudy::front {
namespace {

// None: the local socket.
Result<std::unique_ptr<net::TlsInUse>> tls_of(const ipc::Setup& setup) {
  if (!setup.tls) return nullptr;
  US_TRY(net::TlsContext context, setup.tls->server());
  return std::make_unique<net::TlsInUse>(std::move(context));
}

}  // namespace

Status serve(ipc::Control& control) {
  US_TRY(ipc::Given given, ipc::take_setup(control, UNDERSTUDY_VERSION));
  if (!given.listener) return fail(ErrorCode::protocol, "a front needs a listener");
  US_TRY(const std::unique_ptr<net::TlsInUse> tls, tls_of(given.setup));
  SystemClock clock;
  ipc::RemoteSessions sessions(control, [](std::string_view text) { return wsman::parse_xml(text); });
  wsman::WsmanService service(sessions, clock, {.version = UNDERSTUDY_VERSION}, given.setup.negotiate);
  std::vector<http::Listener> listeners;
  listeners.push_back({std::move(given.listener), tls.get()});
  // Nothing can fail any more, and clients wait at the listener: no lane may come before this word.
  US_CHECK(control.send(ipc::Notice::ready));
  const http::HttpServer server(
      std::move(listeners), [&service](const http::ConnectionInfo& info) { return service.welcome(info); });
  ipc::serve_to_the_end(control, tls.get());
}

}  // namespace understudy::front
