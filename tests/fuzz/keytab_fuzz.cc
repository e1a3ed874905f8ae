// A keytab: its keys of HTTP have a possible length and are as many as allowed; written as a keytab they read
// the same.
#include "authz/keytab.h"
#include "fuzz/fuzz.h"

namespace {

using namespace understudy;

void text(ByteWriter& out, std::string_view text) {
  out.be(static_cast<uint16_t>(text.size()));
  out.raw(as_bytes(text));
}

std::string keytab_of(const std::vector<authz::ServiceKey>& keys) {
  ByteWriter file;
  file.be(uint16_t{0x0502});
  for (const authz::ServiceKey& key : keys) {
    ByteWriter out;
    out.be(uint16_t{2});
    text(out, key.realm);
    text(out, "HTTP");
    text(out, key.host);
    out.be(uint32_t{1});
    out.be(uint32_t{0});
    out.be(static_cast<uint8_t>(key.version));
    out.be(key.type);
    text(out, as_text(key.key));
    out.be(key.version);
    file.be(static_cast<uint32_t>(out.bytes().size()));
    file.raw(out.bytes());
  }
  return std::string(as_text(file.bytes()));
}

}  // namespace

US_FUZZER(keytab, input) {
  const auto keys = authz::parse_keytab(input, "FILE");
  if (!keys) {
    US_ASSERT(keys.error().code() == ErrorCode::corrupt && keys.error().message().starts_with("FILE "));
    return;
  }
  US_ASSERT(keys->size() <= authz::kMostServiceKeys);
  for (const authz::ServiceKey& key : *keys)
    US_ASSERT(!key.host.empty() && key.host.size() <= authz::kMostKerberosName && !key.realm.empty() &&
              key.realm.size() <= authz::kMostKerberosName && !key.key.empty() &&
              key.key.size() <= authz::kMostKerberosKey);
  US_ASSERT(authz::parse_keytab(keytab_of(*keys), "FILE") == *keys);
}
