#include "authz/keytab.h"

#include <optional>

#include "authz/text_file.h"

namespace understudy::authz {
namespace {

constexpr uint16_t kFormat = 0x0502;  // the one before it has the byte order of the machine that wrote it
constexpr std::string_view kService = "HTTP";

std::string_view take_text(ByteReader& in) {
  const auto length = in.be<uint16_t>();
  return as_text(in.take(length));
}

// One entry, of any service; none: it ends too early.
struct Entry {
  std::vector<std::string_view> names;
  ServiceKey key;
};
std::optional<Entry> read_entry(ByteView bytes) {
  ByteReader in(bytes);
  Entry entry;
  const auto names = in.be<uint16_t>();
  entry.key.realm = take_text(in);
  for (uint16_t n = 0; n < names && !in.bad(); ++n) entry.names.push_back(take_text(in));
  (void)in.be<uint32_t>();  // kind of name
  (void)in.be<uint32_t>();  // when it was written
  entry.key.version = in.be<uint8_t>();
  entry.key.type = in.be<uint16_t>();
  const auto length = in.be<uint16_t>();
  const ByteView key = in.take(length);
  entry.key.key.assign(key.begin(), key.end());
  if (in.bad()) return std::nullopt;
  // A version above 255 comes after what all had once; zero there means that nobody wrote it.
  if (in.left() >= sizeof(uint32_t)) {
    const auto version = in.be<uint32_t>();
    if (version != 0) entry.key.version = version;
  }
  return entry;
}

bool is_of_service(const Entry& entry) {
  return entry.names.size() == 2 && entry.names[0] == kService;
}

bool within_bounds(const ServiceKey& key) {
  return !key.host.empty() && key.host.size() <= kMostKerberosName && !key.realm.empty() &&
         key.realm.size() <= kMostKerberosName && !key.key.empty() && key.key.size() <= kMostKerberosKey;
}

}  // namespace

Result<std::vector<ServiceKey>> parse_keytab(std::string_view bytes, std::string_view file_name) {
  const auto bad = [file_name](const char* why) {
    return fail(ErrorCode::corrupt, std::string(file_name) + " is no keytab: " + why, "klist -ekt FILE");
  };
  ByteReader in(as_bytes(bytes));
  if (in.be<uint16_t>() != kFormat) return bad("it does not begin as one of format 5.2");
  std::vector<ServiceKey> keys;
  while (in.left() > 0) {
    const auto length = static_cast<int32_t>(in.be<uint32_t>());
    if (length == 0 && !in.bad()) break;
    // Below zero it is what a removed entry has left.
    const auto size = static_cast<size_t>(length < 0 ? -static_cast<int64_t>(length) : length);
    const ByteView space = in.take(size);
    if (in.bad()) return bad("it ends in the middle");
    if (length < 0) continue;
    auto entry = read_entry(space);
    if (!entry) return bad("an entry ends in the middle");
    if (!is_of_service(*entry)) continue;
    entry->key.host = entry->names[1];
    if (!within_bounds(entry->key)) return bad("an entry of HTTP has a name or a key of no possible length");
    if (keys.size() == kMostServiceKeys) return bad("it has too many keys of HTTP");
    keys.push_back(std::move(entry->key));
  }
  return keys;
}

Result<std::vector<ServiceKey>> load_service_keys(const std::string& path) {
  US_TRY(const std::string bytes, read_text_file(path, kMostKeytab));
  US_TRY(std::vector<ServiceKey> keys, parse_keytab(bytes, path));
  if (keys.empty())
    return fail(ErrorCode::not_found, path + " has no key of HTTP/HOST@REALM",
                "put one in, as docs/operate/kerberos.md says");
  return keys;
}

}  // namespace understudy::authz
