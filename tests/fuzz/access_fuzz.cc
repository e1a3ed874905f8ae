// A map of certificates or of principals, then a NUL, then an Authorization header: who is let in stands in
// the map; a stranger never is.
#include "authz/gate.h"
#include "fuzz/fuzz.h"

namespace {

// Takes a token for the principal that it names.
class Believer final : public understudy::authz::TicketJudge {
 public:
  understudy::Result<understudy::authz::Ticket> judge(const std::string& token) override {
    return understudy::authz::Ticket{token, {}};
  }
};

}  // namespace

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
  auto principals = authz::KerberosMap::parse(text, "FILE");
  if (!principals) principals = authz::KerberosMap();
  Believer judge;
  const authz::Gate gate(nullptr, std::move(*map), nullptr, {&judge, *principals});
  US_ASSERT(!gate.identify(evidence));  // nothing was proven
  const Status read = authz::read_authorization(input, evidence);
  US_ASSERT(read || (read.error().code() == ErrorCode::unauthenticated && !evidence.token));
  US_ASSERT(!evidence.token || (!evidence.password && evidence.token->size() <= authz::kMostToken));
  if (evidence.password) US_ASSERT(!gate.identify(evidence));  // there are no passwords here
  if (evidence.token) {
    const auto known = principals->find(*evidence.token);
    const auto identity = gate.identify(evidence);
    US_ASSERT(identity.has_value() == known.has_value());
    US_ASSERT(!identity || text.find(*evidence.token) != std::string_view::npos);
  }
  evidence.password.reset();
  evidence.token.reset();
  evidence.certificate = authz::CertificateSeen{std::string(64, 'A'), "ops"};
  const auto identity = gate.identify(evidence);
  US_ASSERT(identity || identity.error().code() == ErrorCode::unauthenticated);
  US_ASSERT(!identity || text.find(identity->name) != std::string_view::npos);
}
