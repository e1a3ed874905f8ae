#include "base/base64.h"

#include <array>

namespace understudy {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoDigit = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  for (uint8_t& value : values) value = kNoDigit;
  for (uint8_t i = 0; i < kDigits.size(); ++i) values[static_cast<unsigned char>(kDigits[i])] = i;
  return values;
}();

}  // namespace

std::string to_base64(ByteView bytes) {
  std::string text;
  text.reserve(base64_size(bytes.size()));
  while (!bytes.empty()) {
    const size_t n = bytes.size() < 3 ? bytes.size() : 3;
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) group = group << 8 | (i < n ? std::to_integer<uint32_t>(bytes[i]) : 0);
    for (size_t i = 0; i < 4; ++i) text += i <= n ? kDigits[group >> (18 - 6 * i) & 63] : '=';
    bytes = bytes.subspan(n);
  }
  return text;
}

Result<Bytes> from_base64(std::string_view text) {
  const auto bad = [] { return fail(ErrorCode::corrupt, "not base64"); };
  if (text.size() % 4 != 0) return bad();
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (; !text.empty(); text.remove_prefix(4)) {
    const bool last = text.size() == 4;
    const size_t n = !last || text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;
    uint32_t group = 0;
    for (size_t i = 0; i <= n; ++i) {
      const uint8_t value = kValues[static_cast<unsigned char>(text[i])];
      if (value == kNoDigit) return bad();
      group |= static_cast<uint32_t>(value) << (18 - 6 * i);
    }
    if ((group & ((1U << (24 - 8 * n)) - 1)) != 0) return bad();
    for (size_t i = 0; i < n; ++i) bytes.push_back(static_cast<std::byte>(group >> (16 - 8 * i) & 0xff));
  }
  return bytes;
}

}  // namespace understudy
