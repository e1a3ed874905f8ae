// Certificates as files: a private authority for a few hosts, the certificates it issues, and a look into any
// of them. EC P-256 throughout. Nothing is ever overwritten, a file is there whole or not at all; keys have
// mode 0600. For the command; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "net/host_key.h"

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
// The two in parts, for a key that is on another host.
struct SignedKey {
  Bytes certificate, authority;  // DER
};
// Whether sign_key() could: the authority in `dir` is there and whole, the names are names.
Status can_sign(const std::string& dir, const std::vector<std::string>& names);
Result<SignedKey> sign_key(const std::string& dir, const std::vector<std::string>& names,
                           const PublicKey& key);
// That it is for this key, signed by the authority beside it, and no authority itself: what it says.
// ErrorCode::invalid_parameter.
Result<CertificateInfo> check_signed(const SignedKey& made, const PublicKey& key);
// Whether write_host_files() would refuse, as far as that is known beforehand: ErrorCode::in_use, or why the
// folder cannot be made.
Status check_host_folder(const std::string& out);
// Checks, and writes the three files of issue_certificate().
Result<CertificateInfo> write_host_files(const std::string& out, const HostKey& key, const SignedKey& made);

// A certificate that signs itself, for one conversation; in no file.
struct OneTimeIdentity {
  std::string certificate, key;  // PEM
  std::string thumbprint;        // as in CertificateInfo
};
Result<OneTimeIdentity> make_one_time_identity();

// The first certificate of a PEM file.
Result<CertificateInfo> load_certificate_info(const std::string& file);

// The same certificate as DER.
Result<Bytes> load_certificate_der(const std::string& file);

}  // namespace understudy::net
