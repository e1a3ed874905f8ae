// The first message to a process of ours, and how the daemon keeps it true. Both are of one build, or the
// process ends.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "authz/keytab.h"
#include "base/bytes.h"
#include "ipc/control.h"
#include "net/tls.h"

namespace understudy::ipc {

// What one side of TLS is made of, and where it came from.
struct TlsSetup : net::TlsTexts {
  std::string certificate_file, key_file, authority_file;
  bool mutual = false;  // both sides have a certificate, and TLS is 1.3; else a client may have one
  std::vector<std::string> alpn;
  bool operator==(const TlsSetup&) const = default;

  net::TlsOptions options() const;
  // Reads the files.
  Status read();
  Result<net::TlsContext> server() const { return net::TlsContext::server(options(), *this); }
  Result<net::TlsContext> client() const { return net::TlsContext::client(options(), *this); }
};
template <class F>
void fields(F& f, TlsSetup& tls) {
  f(tls.certificate, tls.key, tls.authority, tls.certificate_file, tls.key_file, tls.authority_file,
    tls.mutual, tls.alpn);
}

struct Setup {
  std::string product_version;  // of the daemon
  bool log_debug = false;
  bool log_json = true;
  std::optional<TlsSetup> tls;  // of the listener; none: the kernel says who connects, or there is none
  bool negotiate = false;       // of a front: Kerberos is offered
  std::vector<authz::ServiceKey> keys = {};  // of understudy-kerberos, which alone has them
};
template <class F>
void fields(F& f, Setup& setup) {
  f(setup.product_version, setup.log_debug, setup.log_json, setup.tls, setup.negotiate, setup.keys);
}

// In the process: takes the setup's first message, and the listener that comes with it.
struct Given {
  Setup setup;
  net::Fd listener;  // empty: the process has none
};
Result<Given> take_setup(Control& control, const char* product_version);
// main() of such a process: confines it, calls `serve`, and tells the daemon the error with which that
// returns. Its name is for who starts it by hand; `most_file` as in Confinement.
int confined_main(int argc, char** argv, const char* name, Status (*serve)(Control& control),
                  size_t most_file = 0);
// Serves until the daemon is gone, and ends the process then. A setup that comes meanwhile goes to `renewed`,
// conversations that the daemon begins go to `on_lane`; on this thread.
[[noreturn]] void serve_to_the_end(Control& control, const std::function<void(Setup)>& renewed,
                                   const std::function<void(ControlMessage)>& on_lane = {});
// The same; of the setup, the certificates go to `tls`, which may be null.
[[noreturn]] void serve_to_the_end(Control& control, net::TlsInUse* tls,
                                   const std::function<void(ControlMessage)>& on_lane = {});

// An errand: its payload, with a connected socket and an end of a lane; the token ends it early.
using CarryOut = void (*)(ByteView payload, net::Fd connection, net::Fd lane, const CancelToken& stop);
// Says that it is ready and carries out errands until who started it is gone, and ends the process then;
// `most` at once, on threads of that name.
Status carry_out_to_the_end(Control& control, std::string thread_name, size_t most, CarryOut carry_out);

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
  std::optional<TlsSetup> refused_;
};

}  // namespace understudy::ipc
