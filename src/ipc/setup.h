// The first message to a process of ours, and how the daemon keeps it true. Both are of one build, or the
// process ends.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "net/tls.h"

namespace understudy::ipc {

// What a TLS server is made of, and where it came from.
struct ServerTls : net::TlsTexts {
  std::string certificate_file, key_file, authority_file;
  bool mutual = false;  // both sides have a certificate, and TLS is 1.3; else a client may have one
  std::vector<std::string> alpn;
  bool operator==(const ServerTls&) const = default;

  net::TlsOptions options() const;
  // Reads the files.
  Status read();
  Result<net::TlsContext> context() const { return net::TlsContext::server(options(), *this); }
};
template <class F>
void fields(F& f, ServerTls& tls) {
  f(tls.certificate, tls.key, tls.authority, tls.certificate_file, tls.key_file, tls.authority_file,
    tls.mutual, tls.alpn);
}

struct Setup {
  std::string product_version;  // of the daemon
  bool log_debug = false;
  bool log_json = true;
  std::optional<ServerTls> tls;  // none: the local socket, where the kernel says who calls
};
template <class F>
void fields(F& f, Setup& setup) {
  f(setup.product_version, setup.log_debug, setup.log_json, setup.tls);
}

// In the process: takes the setup's first message. The listener comes with it.
struct Given {
  Setup setup;
  net::Fd listener;
};
class Control;
Result<Given> take_setup(Control& control, const char* product_version);
// main() of such a process: confines it, calls `serve`, and tells the daemon the error with which that
// returns. Its name is for who starts it by hand.
int confined_main(int argc, char** argv, const char* name, Status (*serve)(Control& control));
// Serves until the daemon is gone, and ends the process then. Certificates that were renewed meanwhile go to
// `tls`, which may be null.
[[noreturn]] void serve_to_the_end(Control& control, net::TlsInUse* tls);

// In the daemon: a setup whose certificates may be renewed on disk. One thread.
class WatchedSetup {
 public:
  explicit WatchedSetup(Setup setup) : setup_(std::move(setup)) {}
  Bytes packed() const;
  // The packed setup, when the files hold something else now that works. What does not is told once; half of
  // a renewal is nothing yet.
  std::optional<Bytes> renewed();

 private:
  Setup setup_;
  std::optional<ServerTls> refused_;
};

}  // namespace understudy::ipc
