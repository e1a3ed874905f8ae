#include "authz/gate.h"

#include <strings.h>

#include "base/base64.h"

namespace understudy::authz {
namespace {

constexpr std::string_view kBasic = "Basic ";
constexpr std::string_view kNegotiate = "Negotiate ";
constexpr std::string_view kNtlm("NTLMSSP\0", 8);
constexpr std::string_view kMutual = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";
constexpr size_t kMostAuthorization = 1024;

bool starts_with(std::string_view text, std::string_view start) {
  return text.size() >= start.size() && strncasecmp(text.data(), start.data(), start.size()) == 0;
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

std::optional<std::string> decode_base64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return bytes;
}

tl::unexpected<Error> unknown(std::string why) {
  return fail(ErrorCode::unauthenticated, std::move(why));
}

Result<std::string> read_token(std::string_view text) {
  if (text.size() > base64_size(kMostToken)) return unknown("the token is too long");
  const auto token = from_base64(text);
  if (!token || token->empty()) return unknown("the token is not base64");
  if (as_text(*token).starts_with(kNtlm)) return unknown("NTLM is not offered, Kerberos is");
  return std::string(as_text(*token));
}

}  // namespace

Status read_authorization(std::string_view header, Evidence& evidence) {
  if (header.empty() || header == kMutual) return {};
  if (starts_with(header, kNegotiate)) {
    US_TRY(evidence.token, read_token(header.substr(kNegotiate.size())));
    return {};
  }
  if (!starts_with(header, kBasic)) return unknown("this way to log in is not offered");
  if (header.size() > kMostAuthorization) return unknown("the Authorization header is too long");
  const auto pair = decode_base64(header.substr(kBasic.size()));
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return unknown("the Authorization header is not base64 of name:password");
  evidence.password = Password{pair->substr(0, colon), pair->substr(colon + 1)};
  return {};
}

Gate::Gate(std::unique_ptr<PasswordFile> passwords, Followed<CertificateMap> certificates,
           const RevokedCertificates* revoked, KerberosDoor kerberos)
    : passwords_(std::move(passwords)),
      certificates_(std::move(certificates)),
      revoked_(revoked),
      kerberos_(std::move(kerberos)) {}

Result<Identity> Gate::by_password(const Password& given, const std::string& from) const {
  const SystemClock clock;
  if (const Duration wait = attempts_.wait(from, clock.now().monotonic); wait > Duration())
    return fail(ErrorCode::timeout, "too many wrong passwords came from " + from,
                "wait " + age_text(wait + Duration::seconds(1)) +
                    ", or use a client certificate, or the local socket");
  auto roles = passwords_->verify(given.name, given.password);
  if (roles) return Identity(given.name, std::move(*roles), "basic", from);
  if (roles.error().code() == ErrorCode::unauthenticated) attempts_.failed(from, clock.now().monotonic);
  return fail(roles.error());
}

// No address waits for what its tokens prove: there is nothing to guess, and behind it may be many hosts.
Result<Identity> Gate::by_token(const std::string& token, const std::string& from) const {
  if (kerberos_.judge == nullptr) return unknown("Kerberos is not offered here");
  US_TRY(Ticket ticket, kerberos_.judge->judge(token));
  const auto known = kerberos_.map.now()->find(ticket.principal);
  if (!known)
    return fail(ErrorCode::unauthenticated, "'" + ticket.principal + "' is not in the map of Kerberos",
                "add a line to kerberos.map");
  return Identity(known->name, known->roles, kByKerberos, from, std::move(ticket.proof));
}

Result<Identity> Gate::identify(const Evidence& evidence) const {
  if (evidence.unix_uid) {
    if (*evidence.unix_uid != 0) return unknown("only root may use the local socket");
    return Identity("root", Role::administrator, "unix", evidence.from);
  }
  if (evidence.token) return by_token(*evidence.token, evidence.from);
  if (evidence.password) {
    if (!passwords_) return unknown("passwords are not accepted here");
    return by_password(*evidence.password, evidence.from);
  }
  if (!evidence.certificate) return unknown("no password, token or client certificate came");
  const CertificateSeen& seen = *evidence.certificate;
  if (revoked_ != nullptr)
    if (const Status good = revoked_->check(seen.thumbprint, seen.common_name); !good)
      return fail(ErrorCode::unauthenticated, good.error().message(), good.error().hint());
  const auto known = certificates_.now()->find(seen.thumbprint, seen.common_name);
  if (!known)
    return fail(ErrorCode::unauthenticated,
                "the certificate of '" + seen.common_name + "' (" + seen.thumbprint +
                    ") is not in the certificate map",
                "add a line to certificates.map");
  return Identity(known->name, known->roles, "certificate", evidence.from);
}

}  // namespace understudy::authz
