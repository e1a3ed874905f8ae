// The replication listener of this host (understudy-link): its process, and its conversations with the
// engines. Ends with its destructor, which waits for the calls that run.
#pragma once

#include <memory>
#include <string>

#include "ipc/conversations.h"
#include "ipc/helper_process.h"
#include "ipc/setup.h"
#include "link/tls_wire.h"

namespace understudy::daemon {

class LinkHost {
 public:
  struct Parts {
    transfer::PeerService& service;
    const Clock& clock;
    link::LinkIdentity identity;
    std::string root;  // an empty folder
    bool log_json;
    bool log_debug;
    link::StillGood still_good;
  };
  // Listens when it returns.
  static Result<std::unique_ptr<LinkHost>> start(const Parts& parts, const std::string& address,
                                                 uint16_t port);
  uint16_t port() const { return port_; }
  bool serving() const { return process_->serving(); }

 private:
  LinkHost(const Parts& parts, ipc::TlsSetup tls, uint16_t port);
  void serve(net::Fd lane, const CancelToken& stop);

  const Parts parts_;
  const uint16_t port_;
  ipc::WatchedSetup setup_;
  ipc::Conversations conversations_;
  std::unique_ptr<ipc::HelperProcess> process_;  // ends first: it brings conversations
};

}  // namespace understudy::daemon
