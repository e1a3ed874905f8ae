// Who is at the door: turns what a connection and the head of a request prove into an Identity. Lives as long
// as the daemon; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "authz/attempts.h"
#include "authz/certificate_map.h"
#include "authz/followed.h"
#include "authz/identity.h"
#include "authz/kerberos.h"
#include "authz/password_file.h"
#include "authz/revoked.h"

namespace understudy::authz {

struct Password {
  std::string name;
  std::string password;
};
struct CertificateSeen {  // one that TLS has verified
  std::string thumbprint;
  std::string common_name;
};
// What there is to judge by.
struct Evidence {
  std::string from;                  // peer address, or "unix"
  std::optional<uint32_t> unix_uid;  // the kernel's word, on the unix socket
  std::optional<CertificateSeen> certificate;
  std::optional<Password> password;
  std::optional<std::string> token;  // bytes, as HTTP Negotiate brought them
};
template <class F>
void fields(F& f, Password& password) {
  f(password.name, password.password);
}
template <class F>
void fields(F& f, CertificateSeen& certificate) {
  f(certificate.thumbprint, certificate.common_name);
}
template <class F>
void fields(F& f, Evidence& evidence) {
  f(evidence.from, evidence.unix_uid, evidence.certificate, evidence.password, evidence.token);
}

// The header as it came, added to the evidence: the name and the password of "Basic", or the token of
// "Negotiate"; nothing when it is empty or says that the client certificate counts (https/mutual of Windows'
// clients). ErrorCode::unauthenticated for everything else.
Status read_authorization(std::string_view header, Evidence& evidence);

// How principals of Kerberos log in; `judge` outlives the gate, and null: they do not.
struct KerberosDoor {
  TicketJudge* judge = nullptr;
  Followed<KerberosMap> map;
};

class Gate {
 public:
  // `passwords` may be null: then nobody logs in with one. So may `revoked`: then no certificate is; else it
  // outlives the gate.
  Gate(std::unique_ptr<PasswordFile> passwords, Followed<CertificateMap> certificates,
       const RevokedCertificates* revoked = nullptr, KerberosDoor kerberos = {});
  // Unix socket: root and nobody else. With a token it is Kerberos' to say, with a password the password
  // file's, whatever the certificate says; otherwise the certificate's. ErrorCode::unauthenticated; timeout
  // for an address that has to wait (attempts.h), and then its password is not looked at; not_available when
  // tokens cannot be judged now.
  Result<Identity> identify(const Evidence& evidence) const;

 private:
  Result<Identity> by_password(const Password& given, const std::string& from) const;
  Result<Identity> by_token(const std::string& token, const std::string& from) const;
  std::unique_ptr<PasswordFile> passwords_;
  const Followed<CertificateMap> certificates_;
  const RevokedCertificates* const revoked_;
  const KerberosDoor kerberos_;
  mutable Attempts attempts_;
};

}  // namespace understudy::authz
