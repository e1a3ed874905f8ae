// The first message to a process of ours. Both are of one build, or the process ends.
#pragma once

#include <optional>
#include <string>

#include "net/tls.h"

namespace understudy::ipc {

// For clients over the network: what a TLS server is made of, and where it came from.
struct ServerTls : net::TlsTexts {
  std::string certificate_file, key_file, authority_file;
  bool operator==(const ServerTls&) const = default;
  net::TlsOptions options() const {
    net::TlsOptions o;
    o.certificate_file = certificate_file;
    o.key_file = key_file;
    o.authority_file = authority_file;
    o.peer = net::PeerCheck::optional;
    return o;
  }
};
template <class F>
void fields(F& f, ServerTls& tls) {
  f(tls.certificate, tls.key, tls.authority, tls.certificate_file, tls.key_file, tls.authority_file);
}

struct FrontSetup {
  std::string product_version;  // of the daemon
  bool log_debug = false;
  bool log_json = true;
  std::optional<ServerTls> tls;  // none: the local socket, where the kernel says who calls
};
template <class F>
void fields(F& f, FrontSetup& setup) {
  f(setup.product_version, setup.log_debug, setup.log_json, setup.tls);
}

}  // namespace understudy::ipc
