#include "base/ids.h"

#include <sys/random.h>

#include "base/assert.h"

namespace understudy {
namespace {
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
std::string to_text(const std::array<uint8_t, 16>& bytes, const char* digits) {
  std::string text;
  text.reserve(36);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}
}  // namespace

Result<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() == 38 && text.front() == '{' && text.back() == '}') text = text.substr(1, 36);
  const auto bad = [&] {
    return fail(ErrorCode::invalid_parameter, "not a UUID: '" + std::string(text.substr(0, 64)) + "'");
  };
  if (text.size() != 36) return bad();
  Uuid id;
  size_t at = 0;
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (text[at++] != '-') return bad();
    }
    const int high = hex_value(text[at]);
    const int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return bad();
    id.bytes_[i] = static_cast<uint8_t>(high * 16 + low);
    at += 2;
  }
  return id;
}

Uuid Uuid::random() {
  Uuid id;
  US_ASSERT(getrandom(id.bytes_.data(), id.bytes_.size(), 0) == 16);
  id.bytes_[6] = static_cast<uint8_t>((id.bytes_[6] & 0x0f) | 0x40);
  id.bytes_[8] = static_cast<uint8_t>((id.bytes_[8] & 0x3f) | 0x80);
  return id;
}

Uuid Uuid::from_bytes(const std::array<uint8_t, 16>& bytes) {
  Uuid id;
  id.bytes_ = bytes;
  return id;
}

bool Uuid::nil() const {
  return *this == Uuid();
}
std::string Uuid::lower() const {
  return to_text(bytes_, "0123456789abcdef");
}
std::string Uuid::upper() const {
  return to_text(bytes_, "0123456789ABCDEF");
}

}  // namespace understudy
