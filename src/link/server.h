// The replication listener of a replica host: one thread accepts, one serves each connection. Ends with
// stop() or its destructor; to listen elsewhere, start another.
#pragma once

#include <list>
#include <mutex>

#include "base/log_rate.h"
#include "base/thread.h"
#include "link/tls_wire.h"

namespace understudy::link {

// Half of the connections may be in a handshake: strangers alone cannot fill the house.
inline constexpr size_t kMostHandshakes = limits::kMostLinkConnections / 2;

class LinkServer {
 public:
  struct Options {
    std::string address;  // empty: all
    uint16_t port = 0;    // 0: the system chooses, see port()
    LinkIdentity identity;
  };
  // Listens when it returns. `service` and `clock` outlive the server.
  static Result<std::unique_ptr<LinkServer>> start(const Options& options, transfer::PeerService& service,
                                                   const Clock& clock);
  ~LinkServer();
  uint16_t port() const { return port_; }
  // Looks at the certificate files: what is new there, and works, is used for the next handshakes. True: it
  // is. One thread.
  bool renew();
  // Closes the listener and every connection; waits for their threads, so for calls of the service that run.
  void stop();

 private:
  struct Conversation {
    bool ended = false;
    Thread thread;  // joined first
  };
  LinkServer(net::TlsContext context, net::TlsTexts texts, net::Fd listener, uint16_t port,
             LinkIdentity identity, transfer::PeerService& service, const Clock& clock);
  void accept_loop();
  void take(net::Connection connection);
  void converse(net::Connection connection);
  Status handshake_and_serve(net::Connection connection);
  Result<std::unique_ptr<net::TlsStream>> handshake(net::Connection connection);
  void complain(const char* what, const std::string& peer, const std::string& error);
  void forget_ended();

  net::TlsInUse context_;
  net::TlsTexts texts_;  // what it was made of
  const net::Fd listener_;
  const uint16_t port_;
  const LinkIdentity identity_;
  transfer::PeerService& service_;
  const Clock& clock_;
  CancelToken stop_;
  LogRate rate_;

  std::mutex mutex_;  // for the two below
  std::list<Conversation> conversations_;
  size_t handshakes_ = 0;
  Thread acceptor_;
};

}  // namespace understudy::link
