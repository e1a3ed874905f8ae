#include "store/seal.h"

#include <xxhash.h>

#include <cstdio>

namespace understudy::store {
namespace {

constexpr size_t kLength = 9 + 32 + 1;

std::string line_of(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  char line[kLength + 1];
  std::snprintf(line, sizeof line, "xxh3-128 %016llx%016llx\n", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return line;
}

}  // namespace

std::string sealed(std::string text) {
  return text + line_of(text);
}

Result<std::string_view> unsealed(std::string_view text) {
  if (text.size() < kLength) return fail(ErrorCode::corrupt, "is too short");
  const std::string_view body = text.substr(0, text.size() - kLength);
  if (text.substr(body.size()) != line_of(body)) return fail(ErrorCode::corrupt, "has a wrong checksum");
  return body;
}

}  // namespace understudy::store
