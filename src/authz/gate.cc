#include "authz/gate.h"

#include <strings.h>

#include <array>

namespace understudy::authz {
namespace {

constexpr std::string_view kBasic = "Basic ";
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

}  // namespace

Result<std::optional<Password>> read_authorization(std::string_view header) {
  if (header.empty() || header == kMutual) return std::nullopt;
  if (!starts_with(header, kBasic)) return unknown("this way to log in is not offered");
  if (header.size() > kMostAuthorization) return unknown("the Authorization header is too long");
  const auto pair = decode_base64(header.substr(kBasic.size()));
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return unknown("the Authorization header is not base64 of name:password");
  return Password{pair->substr(0, colon), pair->substr(colon + 1)};
}

Gate::Gate(std::unique_ptr<PasswordFile> passwords, CertificateMap certificates,
           const RevokedCertificates* revoked)
    : passwords_(std::move(passwords)), certificates_(std::move(certificates)), revoked_(revoked) {}

Result<Identity> Gate::by_password(const Password& given, const std::string& from) const {
  const SystemClock clock;
  if (const Duration wait = attempts_.wait(from, clock.now().monotonic); wait > Duration())
    return fail(ErrorCode::timeout, "too many wrong passwords came from " + from,
                "wait " + age_text(wait + Duration::seconds(1)) +
                    ", or use a client certificate, or the local socket");
  const auto role = passwords_->verify(given.name, given.password);
  if (role) return Identity(given.name, *role, "basic", from);
  if (role.error().code() == ErrorCode::unauthenticated) attempts_.failed(from, clock.now().monotonic);
  return fail(role.error());
}

Result<Identity> Gate::identify(const Evidence& evidence) const {
  if (evidence.unix_uid) {
    if (*evidence.unix_uid != 0) return unknown("only root may use the local socket");
    return Identity("root", Role::administrator, "unix", evidence.from);
  }
  if (evidence.password) {
    if (!passwords_) return unknown("passwords are not accepted here");
    return by_password(*evidence.password, evidence.from);
  }
  if (!evidence.certificate) return unknown("neither a password nor a client certificate came");
  const CertificateSeen& seen = *evidence.certificate;
  if (revoked_ != nullptr)
    if (const Status good = revoked_->check(seen.thumbprint, seen.common_name); !good)
      return fail(ErrorCode::unauthenticated, good.error().message(), good.error().hint());
  const auto known = certificates_.find(seen.thumbprint, seen.common_name);
  if (!known)
    return fail(ErrorCode::unauthenticated,
                "the certificate of '" + seen.common_name + "' (" + seen.thumbprint +
                    ") is not in the certificate map",
                "add a line to certificates.map");
  return Identity(known->name, known->role, "certificate", evidence.from);
}

}  // namespace understudy::authz
