// The WS-Management service: what the HTTP server calls for /wsman. Lives as long as the server; any thread.
// Nobody who is not known gets as far as the XML parser.
#pragma once

#include <string>

#include "base/log_rate.h"
#include "base/time.h"
#include "http/server.h"
#include "session/session.h"
#include "wsman/enumeration.h"
#include "wsman/envelope.h"

namespace understudy::wsman {

struct Product {
  std::string vendor = "Understudy";
  std::string version;  // "0.1.0"
};

// Whom a session has let in.
struct Caller {
  session::Session& session;
  const authz::Identity& identity;
};

class WsmanService {
 public:
  // Both outlive the service. `negotiate`: Kerberos is offered to who has not logged in.
  WsmanService(session::Sessions& sessions, const Clock& clock, Product product, bool negotiate = false)
      : sessions_(sessions),
        clock_(clock),
        product_(std::move(product)),
        negotiate_(negotiate),
        enumerations_(clock) {}

  // http::Welcome: who judges the heads of the requests of this connection.
  http::Admit welcome(const http::ConnectionInfo& info);
  // One envelope.
  http::HttpResponse handle(const std::string& body, const Caller& caller);

 private:
  using Reply = tl::expected<std::string, cim::Fault>;
  tl::expected<http::Answer, http::HttpResponse> admit(const http::HttpRequest& head,
                                                       const authz::Evidence& evidence,
                                                       const std::shared_ptr<session::Session>& session);
  // For what only reads: w:TimedOut when the answer came after the caller's OperationTimeout.
  cim::Outcome<cim::Response> read(const RequestHeader& header, const Caller& caller,
                                   const cim::Request& request);
  Reply dispatch(const RequestEnvelope& request, const Caller& caller);
  Reply get(const RequestEnvelope& request, const Caller& caller);
  Reply enumerate(const RequestEnvelope& request, const Caller& caller);
  Reply pull(const RequestEnvelope& request, const Caller& caller);
  Reply release(const RequestEnvelope& request, const Caller& caller);
  Reply invoke(const RequestEnvelope& request, std::string_view method, const Caller& caller);
  std::string identify(bool known_caller) const;
  http::HttpResponse log_in_first() const;

  session::Sessions& sessions_;
  const Clock& clock_;
  const Product product_;
  const bool negotiate_;
  LogRate refused_;
  EnumerationTable enumerations_;
};

}  // namespace understudy::wsman
