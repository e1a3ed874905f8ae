// Bytes as text: base64 with padding (RFC 4648, section 4). Any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy {

constexpr size_t base64_size(size_t bytes) {
  return (bytes + 2) / 3 * 4;
}
std::string to_base64(ByteView bytes);
// Only what to_base64() writes: padded, no other characters, no bits that mean nothing; else
// ErrorCode::corrupt. The result is smaller than the text, which the caller bounds.
Result<Bytes> from_base64(std::string_view text);

}  // namespace understudy
