// The WS-Management service: what the HTTP server calls for /wsman. Lives as long as the server; any thread.
// Nobody who is not known gets as far as the XML parser.
#pragma once

#include <string>

#include "authz/gate.h"
#include "base/time.h"
#include "cim/operation.h"
#include "http/server.h"
#include "wsman/enumeration.h"
#include "wsman/envelope.h"

namespace understudy::wsman {

struct Product {
  std::string vendor = "Understudy";
  std::string version;  // "0.1.0"
};

class WsmanService {
 public:
  // All three outlive the service.
  WsmanService(cim::Dispatcher& dispatcher, const authz::Gate& gate, const Clock& clock, Product product)
      : dispatcher_(dispatcher),
        gate_(gate),
        clock_(clock),
        product_(std::move(product)),
        enumerations_(clock) {}

  // http::Admit: judges the head of a request.
  tl::expected<http::Answer, http::HttpResponse> admit(const http::HttpRequest& head,
                                                       const http::ConnectionInfo& info);
  // One envelope of a known caller.
  http::HttpResponse handle(const std::string& body, const authz::Identity& identity);

 private:
  using Reply = tl::expected<std::string, cim::Fault>;
  // For what only reads: w:TimedOut when the answer came after the caller's OperationTimeout.
  cim::Outcome<cim::Response> read(const RequestHeader& header, const authz::Identity& identity,
                                   const cim::Request& request);
  Reply dispatch(const RequestEnvelope& request, const authz::Identity& identity);
  Reply get(const RequestEnvelope& request, const authz::Identity& identity);
  Reply enumerate(const RequestEnvelope& request, const authz::Identity& identity);
  Reply pull(const RequestEnvelope& request, const authz::Identity& identity);
  Reply release(const RequestEnvelope& request, const authz::Identity& identity);
  Reply invoke(const RequestEnvelope& request, std::string_view method, const authz::Identity& identity);
  std::string identify(bool known_caller) const;

  cim::Dispatcher& dispatcher_;
  const authz::Gate& gate_;
  const Clock& clock_;
  const Product product_;
  EnumerationTable enumerations_;
};

}  // namespace understudy::wsman
