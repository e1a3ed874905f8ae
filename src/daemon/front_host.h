// A front of this host (understudy-front): its listener, its process, and its sessions with the object
// manager. Ends with its destructor, which waits for the calls that run.
#pragma once

#include <memory>
#include <string>

#include "daemon/config.h"
#include "ipc/helper_process.h"
#include "ipc/sessions.h"
#include "ipc/setup.h"

namespace understudy::daemon {

class FrontHost {
 public:
  struct Parts {
    session::Sessions& sessions;
    std::string root;  // an empty folder
    bool log_json;
    bool log_debug;
    bool negotiate;  // Kerberos is offered; to the network
  };
  // Serves when it returns.
  static Result<std::unique_ptr<FrontHost>> remote(const Parts& parts, const Config::Management& management);
  static Result<std::unique_ptr<FrontHost>> local(const Parts& parts, const std::string& socket);

 private:
  FrontHost(const Parts& parts, ipc::Clients clients, std::optional<ipc::TlsSetup> tls);
  Status start(const std::string& root, net::Fd listener);

  ipc::WatchedSetup setup_;
  ipc::SessionServer server_;
  std::unique_ptr<ipc::HelperProcess> process_;  // ends first: it brings sessions
};

}  // namespace understudy::daemon
