// Who is at the door: turns what a connection and the head of a request prove into an Identity. Lives as long
// as the front; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "authz/certificate_map.h"
#include "authz/identity.h"
#include "authz/password_file.h"

namespace understudy::authz {

// What there is to judge by. Empty means: not there.
struct Evidence {
  std::string from;                    // peer address, or "unix"
  std::optional<uint32_t> unix_uid;    // the kernel's word, on the unix socket
  std::string certificate_thumbprint;  // of a certificate that TLS has verified
  std::string certificate_common_name;
  std::string authorization;  // the header as it came
};

class Gate {
 public:
  // `passwords` may be null: then nobody logs in with one.
  Gate(std::unique_ptr<PasswordFile> passwords, CertificateMap certificates);
  // Unix socket: root and nobody else. "Authorization: Basic": the password file, whatever the certificate
  // says. Otherwise, also with the https/mutual header of Windows' clients, the certificate.
  // ErrorCode::unauthenticated.
  Result<Identity> identify(const Evidence& evidence) const;

 private:
  std::unique_ptr<PasswordFile> passwords_;
  CertificateMap certificates_;
};

}  // namespace understudy::authz
