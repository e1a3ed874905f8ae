#include "link/tls_wire.h"

#include <sys/socket.h>

#include <algorithm>

namespace understudy::link {
namespace {

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace

ipc::TlsSetup tls_setup(const LinkIdentity& identity) {
  ipc::TlsSetup tls;
  tls.certificate_file = identity.certificate_file;
  tls.key_file = identity.key_file;
  tls.authority_file = identity.authority_file;
  tls.mutual = true;
  tls.alpn = {kAlpn};
  return tls;
}

transfer::Hello make_hello(const LinkIdentity& identity, const Clock& clock) {
  transfer::Hello hello;
  hello.features = {"zstd"};
  hello.host = identity.host_name;
  hello.product_version = identity.product_version;
  hello.clock = clock.now().wall;
  return hello;
}

Result<transfer::PeerIdentity> identity_of(const net::TlsStream& stream) {
  if (stream.alpn() != kAlpn)
    return fail(ErrorCode::protocol, stream.peer() + " does not speak the replication protocol");
  const auto& certificate = stream.certificate();
  if (!certificate) return fail(ErrorCode::unauthenticated, stream.peer() + " has shown no certificate");
  transfer::PeerIdentity identity;
  identity.common_name = lower(certificate->common_name);
  identity.thumbprint = certificate->thumbprint;
  identity.address = stream.peer();
  if (!identity.common_name.empty()) identity.names.push_back(identity.common_name);
  for (const std::string& name : certificate->dns_names) {
    std::string spelled = lower(name);
    if (std::find(identity.names.begin(), identity.names.end(), spelled) == identity.names.end())
      identity.names.push_back(std::move(spelled));
  }
  return identity;
}

void TlsWire::interrupt() {
  ::shutdown(fd_, SHUT_RDWR);
}

}  // namespace understudy::link
