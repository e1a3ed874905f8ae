// The confined end of an offer (docs/spec/enrolment.md): speaks TLS with whoever connects, asks about each
// secret on a lane, and reads a request only when that was right. The calling thread makes it; one thread
// accepts, one serves each connection. Ends with its destructor.
#pragma once

#include <atomic>
#include <functional>
#include <list>

#include "base/thread.h"
#include "net/tls.h"

namespace understudy::enrol {

// At once. When there are more, the one that has shown nothing for longest is closed: who is slow keeps
// nobody out.
inline constexpr size_t kMostCallers = 32;

// Its certificate is the one that the token names; nobody has to show one.
Result<net::TlsContext> offering_context(const net::TlsTexts& texts);

class Server {
 public:
  using OpenLane = std::function<Result<net::Fd>()>;  // any thread
  Server(net::TlsContext context, net::Fd listener, OpenLane open_lane);
  ~Server();

 private:
  struct Caller {
    CancelToken stop;
    std::atomic<bool> judged{false};  // or about to be
    std::atomic<bool> over{false};
    Thread thread;  // joined first
  };
  void accept_loop();
  bool make_room();
  Status serve(net::Connection connection, Caller& caller);

  const net::TlsContext context_;
  const net::Fd listener_;
  const OpenLane open_lane_;
  CancelToken stop_;
  std::list<Caller> callers_;  // the accepting thread's
  Thread acceptor_;
};

}  // namespace understudy::enrol
