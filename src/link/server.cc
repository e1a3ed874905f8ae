#include "link/server.h"

#include "base/log.h"

namespace understudy::link {

LinkServer::LinkServer(net::TlsContext context, net::Fd listener, Converse converse, const Clock& clock)
    : context_(std::move(context)),
      listener_(std::move(listener)),
      converse_(std::move(converse)),
      clock_(clock),
      acceptor_("link-accept", [this] { accept_loop(); }) {}

LinkServer::~LinkServer() {
  stop();
}

void LinkServer::stop() {
  stop_.cancel();
  acceptor_.join();
  std::list<Conversation> last;
  {
    const std::lock_guard lock(mutex_);
    last.swap(conversations_);
  }
}

void LinkServer::accept_loop() {
  while (true) {
    auto connection = net::accept(listener_, stop_);
    forget_ended();
    if (connection) {
      take(std::move(*connection));
    } else if (connection.error().code() == ErrorCode::cancelled) {
      return;
    } else {
      log_error("link", "the replication listener ended", {{"error", connection.error().text()}});
      return;
    }
  }
}

void LinkServer::take(net::Connection connection) {
  const std::lock_guard lock(mutex_);
  if (conversations_.size() >= limits::kMostLinkConnections || handshakes_ >= kMostHandshakes) {
    complain("too many connections: one was closed", connection.peer, "");
    return;
  }
  ++handshakes_;
  Conversation& made = conversations_.emplace_back();
  made.thread =
      Thread("link-serve", [this, &made, c = std::make_shared<net::Connection>(std::move(connection))] {
        converse(std::move(*c));
        const std::lock_guard hold(mutex_);
        made.ended = true;
      });
}

void LinkServer::complain(const char* what, const std::string& peer, const std::string& error) {
  if (const auto left_out = rate_.pass(clock_.now().monotonic))
    log_warning("link", what, {{"peer", peer}, {"error", error}, {"left_out", *left_out}});
}

void LinkServer::converse(net::Connection connection) {
  const std::string peer = connection.peer;
  const Status status = handshake_and_serve(std::move(connection));
  if (!status && status.error().code() != ErrorCode::cancelled)
    complain("a replication connection ended with an error", peer, status.error().text());
}

Status LinkServer::handshake_and_serve(net::Connection connection) {
  const int fd = connection.fd.get();
  US_TRY(auto stream, handshake(std::move(connection)));
  US_TRY(const transfer::PeerIdentity peer, identity_of(*stream));
  TlsWire wire(std::move(stream), fd);
  return converse_(wire, peer);
}

Result<std::unique_ptr<net::TlsStream>> LinkServer::handshake(net::Connection connection) {
  auto stream = context_.get().accept(std::move(connection), limits::kLinkHandshake, stop_);
  const std::lock_guard lock(mutex_);
  --handshakes_;
  return stream;
}

// Joins the threads that are at their end.
void LinkServer::forget_ended() {
  std::list<Conversation> ended;
  const std::lock_guard lock(mutex_);
  for (auto at = conversations_.begin(); at != conversations_.end();) {
    const auto next = std::next(at);
    if (at->ended) ended.splice(ended.end(), conversations_, at);
    at = next;
  }
}

}  // namespace understudy::link
