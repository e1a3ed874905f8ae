// The replication listener of a replica host, up to who the peer is: one thread accepts, one serves each
// connection. Ends with stop() or its destructor.
#pragma once

#include <functional>
#include <list>
#include <mutex>

#include "base/log_rate.h"
#include "base/thread.h"
#include "link/tls_wire.h"

namespace understudy::link {

// Half of the connections may be in a handshake: strangers alone cannot fill the house.
inline constexpr size_t kMostHandshakes = limits::kMostLinkConnections / 2;

// Serves one conversation with a peer that has proven who it is; on its thread.
using Converse = std::function<Status(TlsWire& wire, const transfer::PeerIdentity& peer)>;

class LinkServer {
 public:
  // Accepts from now on. `clock` outlives the server.
  LinkServer(net::TlsContext context, net::Fd listener, Converse converse, const Clock& clock);
  ~LinkServer();
  net::TlsInUse& tls() { return context_; }
  // Closes the listener and every connection; waits for their threads.
  void stop();

 private:
  struct Conversation {
    bool ended = false;
    Thread thread;  // joined first
  };
  void accept_loop();
  void take(net::Connection connection);
  void converse(net::Connection connection);
  Status handshake_and_serve(net::Connection connection);
  Result<std::unique_ptr<net::TlsStream>> handshake(net::Connection connection);
  void complain(const char* what, const std::string& peer, const std::string& error);
  void forget_ended();

  net::TlsInUse context_;
  const net::Fd listener_;
  const Converse converse_;
  const Clock& clock_;
  CancelToken stop_;
  LogRate rate_;

  std::mutex mutex_;  // for the two below
  std::list<Conversation> conversations_;
  size_t handshakes_ = 0;
  Thread acceptor_;
};

}  // namespace understudy::link
