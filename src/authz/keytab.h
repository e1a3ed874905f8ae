// The keys of this host in a keytab file, as MIT and Heimdal write it (format 5.2). Plain functions; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy::authz {

inline constexpr size_t kMostKeytab = 1 << 20;       // of the file, bytes
inline constexpr size_t kMostServiceKeys = 256;      // host names, their encryption types, old and new
inline constexpr size_t kMostKerberosName = 1 << 8;  // of a host or a realm; a DNS name has 253
inline constexpr size_t kMostKerberosKey = 64;       // the longest that there is has 32

// A key of the service HTTP, which is that of WS-Management.
struct ServiceKey {
  std::string host;  // of HTTP/HOST@REALM
  std::string realm;
  uint32_t version = 0;
  uint16_t type = 0;  // of encryption, as Kerberos numbers them
  Bytes key;
  bool operator==(const ServiceKey&) const = default;
};
template <class F>
void fields(F& f, ServiceKey& key) {
  f(key.host, key.realm, key.version, key.type, key.key);
}

// Those of HTTP, in the order of the file; the keys of other services are passed over. None is no error.
// ErrorCode::corrupt: it is no keytab.
Result<std::vector<ServiceKey>> parse_keytab(std::string_view bytes, std::string_view file_name);
// The same of a file. ErrorCode::not_found, too: when there is no such key.
Result<std::vector<ServiceKey>> load_service_keys(const std::string& path);

}  // namespace understudy::authz
