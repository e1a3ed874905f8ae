// The whole management front over a host of plain values: what the rules and the fuzzer of envelopes talk to.
#pragma once

#include <string>

#include "conformance/pairs.h"
#include "providers/providers_test.h"
#include "wsman/service.h"
#include "wsman/test_envelope.h"

namespace understudy::conformance {

class FixedClock final : public Clock {
 public:
  Now now() const override { return {Monotonic{1}, providers::kNow}; }
};

// A host with three VMs, and everything in front of it.
struct Front {
  Front()
      : manager(
            [](const cim::Caller& caller, cim::Right right, std::string_view,
               std::string_view) -> Result<cim::Reach> {
              if (right == cim::Right::execute && caller.role == "reader")
                return fail(ErrorCode::access_denied, caller.name + " may only read");
              return cim::Reach{true, {}, true};
            },
            host.name()) {
    host.views = providers::three_vms();
    host.entries = {{"*", "/srv/replicas", "DEFAULT"}};
    register_providers(manager, host, [](std::string_view text) { return wsman::parse_xml(text); });
  }
  Reply ask(const std::string& envelope) {
    const auto response = service.handle(envelope, {session, who});
    return {response.status, response.body};
  }

  providers::FakeHost host;
  cim::ObjectManager manager;
  FixedClock clock;
  authz::Gate gate{nullptr, *authz::CertificateMap::parse("cn:ops ops operator", "map")};
  authz::Identity who{"ada", authz::Role::operator_, "basic", "192.0.2.1:9"};
  session::LocalSessions sessions{gate, manager};
  wsman::TestSession session{manager, who};
  wsman::WsmanService service{sessions, clock, {.version = "0.1.0"}};
};

inline std::string with_context(std::string envelope, const std::string& context) {
  for (size_t at = envelope.find("$CONTEXT"); at != std::string::npos; at = envelope.find("$CONTEXT"))
    envelope.replace(at, 8, context);
  return envelope;
}

}  // namespace understudy::conformance
