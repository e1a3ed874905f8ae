// The one-time token of an enrolment (docs/spec/enrolment.md): one word of 59 characters that says who the
// other side must be and proves that its bearer was given it. A wrong character is noticed without asking
// anybody. Pure functions, but for make_token().
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy::enrol {

using Secret = std::array<std::byte, 16>;

struct Token {
  Secret secret;
  std::array<std::byte, 16> server;  // the first half of the SHA-256 of the certificate that is shown

  // As net::TlsOptions::pin wants it.
  std::string pin() const;
  bool operator==(const Token&) const = default;
};

// With a fresh secret. `thumbprint` is of 64 hexadecimal digits.
Token make_token(std::string_view thumbprint);
std::string text_of(const Token& token);
// Upper case is as good as lower case, and blanks around it are not looked at. ErrorCode::invalid_parameter;
// no message repeats the token.
Result<Token> parse_token(std::string_view text);

// Takes as long whether they differ early or late.
bool same_secret(const Secret& a, ByteView b);

}  // namespace understudy::enrol
