// Certificate map, then a NUL, then an Authorization header: who is let in stands in the map; a stranger
// never is.
#include "authz/gate.h"
#include "fuzz/fuzz.h"

US_FUZZER(access, input) {
  using namespace understudy;
  const std::string_view text = fuzz::take(input, '\0');
  auto map = authz::CertificateMap::parse(text, "FILE");
  if (!map) {
    US_ASSERT(map.error().code() == ErrorCode::invalid_parameter &&
              map.error().message().starts_with("FILE line "));
    map = authz::CertificateMap();
  }
  authz::Evidence evidence;
  evidence.from = "192.0.2.1";
  const auto entry = map->find("", "ops");
  US_ASSERT(!entry || (entry->common_name == "ops" && !entry->name.empty()));
  const authz::Gate gate(nullptr, std::move(*map));
  US_ASSERT(!gate.identify(evidence));  // nothing was proven
  auto password = authz::read_authorization(input);
  US_ASSERT(password || password.error().code() == ErrorCode::unauthenticated);
  if (password && *password) {
    evidence.password = std::move(*password);
    US_ASSERT(!gate.identify(evidence));  // there are no passwords here, whatever the certificate is
    evidence.password.reset();
  }
  evidence.certificate = authz::CertificateSeen{std::string(64, 'A'), "ops"};
  const auto identity = gate.identify(evidence);
  US_ASSERT(identity || identity.error().code() == ErrorCode::unauthenticated);
  US_ASSERT(!identity || text.find(identity->name) != std::string_view::npos);
}
