// Certificates as files: a private authority for a few hosts, the certificates it issues, and a look into any
// of them. EC P-256 throughout. Nothing is ever overwritten; keys have mode 0600. For the command; any
// thread.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace understudy::net {

inline constexpr int kAuthorityDays = 3650;
inline constexpr int kCertificateDays = 825;

struct CertificateInfo {
  std::string subject;  // "CN=host-b"
  std::string issuer;
  std::string common_name;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_names;
  std::string thumbprint;  // SHA-256, upper-case hex
  Wall not_before;
  Wall not_after;
  bool authority = false;
};

// Writes `dir`/authority.crt and `dir`/authority.key (the folder is made, 0700, when missing).
Result<CertificateInfo> create_authority(const std::string& dir, const std::string& name);
// Writes `out`/host.crt, `out`/host.key and `out`/authority.crt, signed by the authority in `dir`: good as a
// server and as a client. `names` are host names and IP addresses; the first is the common name.
Result<CertificateInfo> issue_certificate(const std::string& dir, const std::vector<std::string>& names,
                                          const std::string& out);
// The first certificate of a PEM file.
Result<CertificateInfo> load_certificate_info(const std::string& file);

// The same certificate as DER.
Result<Bytes> load_certificate_der(const std::string& file);

}  // namespace understudy::net
