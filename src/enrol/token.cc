#include "enrol/token.h"

#include <sys/random.h>

#include <algorithm>
#include <vector>

#include "base/assert.h"

namespace understudy::enrol {
namespace {

// Five bits each. No i, l, o, u: what is read as them is 1, 1, 0 and nothing.
constexpr std::string_view kLetters = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr uint8_t kVersion = 1;
constexpr size_t kBytes = 32;  // secret and server
constexpr size_t kCarried = (kBytes * 8 + 4) / 5;
constexpr size_t kCheck = 6;
constexpr size_t kLength = 1 + kCarried + kCheck;

// The code of Bech32m (BIP 350): up to four wrong characters of 89 are always noticed, and all but one in
// 2^30 of what else can happen to a word.
constexpr uint32_t kGenerator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
constexpr uint32_t kConstant = 0x2bc830a3;

uint32_t remainder(const std::vector<uint8_t>& values) {
  uint32_t rest = 1;
  for (const uint8_t value : values) {
    const uint32_t top = rest >> 25;
    rest = (rest & 0x1ffffff) << 5 ^ value;
    for (size_t i = 0; i < std::size(kGenerator); ++i)
      if (top >> i & 1) rest ^= kGenerator[i];
  }
  return rest;
}

// Bits from groups of one width into groups of another, the last filled up with zeroes.
std::vector<uint8_t> regroup(const std::vector<uint8_t>& from, unsigned width, unsigned into) {
  std::vector<uint8_t> groups;
  uint32_t bits = 0;
  unsigned held = 0;
  for (const uint8_t group : from) {
    bits = bits << width | group;
    for (held += width; held >= into; held -= into)
      groups.push_back(static_cast<uint8_t>(bits >> (held - into) & ((1U << into) - 1)));
    bits &= (1U << held) - 1;
  }
  if (held > 0) groups.push_back(static_cast<uint8_t>(bits << (into - held) & ((1U << into) - 1)));
  return groups;
}

// 0 to 31, or 32: no letter.
uint8_t value_of(char c) {
  if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (c == 'o') c = '0';
  if (c == 'i' || c == 'l') c = '1';
  return static_cast<uint8_t>(std::min(kLetters.find(c), kLetters.size()));
}

tl::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::invalid_parameter, "this is not the token as it was shown: " + std::move(what),
              "copy the whole token again from the other host's 'understudy certificate offer'");
}

}  // namespace

std::string Token::pin() const {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  for (const std::byte byte : server) {
    text += kHex[std::to_integer<unsigned>(byte) >> 4];
    text += kHex[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

Token make_token(std::string_view thumbprint) {
  Token token;
  US_ASSERT(thumbprint.size() == 64);
  US_ASSERT(getrandom(token.secret.data(), token.secret.size(), 0) ==
            static_cast<ssize_t>(token.secret.size()));
  const auto digit = [&](size_t at) {
    return thumbprint[at] <= '9' ? thumbprint[at] - '0' : (thumbprint[at] | 0x20) - 'a' + 10;
  };
  for (size_t i = 0; i < token.server.size(); ++i)
    token.server[i] = static_cast<std::byte>(digit(2 * i) << 4 | digit(2 * i + 1));
  return token;
}

std::string text_of(const Token& token) {
  std::vector<uint8_t> bytes;
  for (const std::byte b : token.secret) bytes.push_back(std::to_integer<uint8_t>(b));
  for (const std::byte b : token.server) bytes.push_back(std::to_integer<uint8_t>(b));
  std::vector<uint8_t> values = regroup(bytes, 8, 5);
  values.insert(values.begin(), kVersion);
  values.resize(kLength);
  const uint32_t check = remainder(values) ^ kConstant;
  for (size_t i = 0; i < kCheck; ++i)
    values[kLength - kCheck + i] = static_cast<uint8_t>(check >> (5 * (kCheck - 1 - i)) & 31);
  std::string text;
  for (const uint8_t value : values) text += kLetters[value];
  return text;
}

Result<Token> parse_token(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  text = text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
  if (text.size() != kLength)
    return refuse("it has " + std::to_string(text.size()) + " characters, a token has " +
                  std::to_string(kLength));
  std::vector<uint8_t> values;
  for (const char c : text) values.push_back(value_of(c));
  const auto strange = std::ranges::find(values, kLetters.size());
  if (strange != values.end())
    return refuse("no token has the character at place " + std::to_string(strange - values.begin() + 1));
  if (remainder(values) != kConstant) return refuse("a character of it is wrong");
  if (values.front() != kVersion)
    return fail(ErrorCode::not_supported,
                "the token is of version " + std::to_string(values.front()) + ", this is version " +
                    std::to_string(kVersion),
                "install the same version on both hosts");
  const std::vector<uint8_t> bytes = regroup({values.begin() + 1, values.end() - kCheck}, 5, 8);
  if (bytes.back() != 0) return refuse("it ends in bits that mean nothing");
  Token token;
  const auto* at = reinterpret_cast<const std::byte*>(bytes.data());
  std::copy_n(at, token.secret.size(), token.secret.begin());
  std::copy_n(at + token.secret.size(), token.server.size(), token.server.begin());
  return token;
}

bool same_secret(const Secret& a, ByteView b) {
  if (b.size() != a.size()) return false;
  volatile uint8_t differs = 0;  // no compiler ends this early
  for (size_t i = 0; i < a.size(); ++i)
    differs = static_cast<uint8_t>(differs | std::to_integer<uint8_t>(a[i] ^ b[i]));
  return differs == 0;
}

}  // namespace understudy::enrol
