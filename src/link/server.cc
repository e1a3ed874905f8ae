#include "link/server.h"

#include "base/log.h"
#include "transfer/session.h"

namespace understudy::link {

Result<std::unique_ptr<LinkServer>> LinkServer::start(const Options& options, transfer::PeerService& service,
                                                      const Clock& clock) {
  const net::TlsOptions tls = tls_options(options.identity);
  US_TRY(net::TlsTexts texts, net::read_tls_texts(tls));
  US_TRY(net::TlsContext context, net::TlsContext::server(tls, texts));
  US_TRY(net::Fd listener, net::listen_tcp(options.address, options.port));
  US_TRY(const uint16_t port, net::bound_port(listener));
  return std::unique_ptr<LinkServer>(new LinkServer(std::move(context), std::move(texts), std::move(listener),
                                                    port, options.identity, service, clock));
}

LinkServer::LinkServer(net::TlsContext context, net::TlsTexts texts, net::Fd listener, uint16_t port,
                       LinkIdentity identity, transfer::PeerService& service, const Clock& clock)
    : context_(std::move(context)),
      texts_(std::move(texts)),
      listener_(std::move(listener)),
      port_(port),
      identity_(std::move(identity)),
      service_(service),
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

bool LinkServer::renew() {
  const net::TlsOptions tls = tls_options(identity_);
  auto texts = net::read_tls_texts(tls);
  if (!texts || *texts == texts_) return false;
  auto context = net::TlsContext::server(tls, *texts);
  texts_ = std::move(*texts);  // what cannot be used is told once
  if (!context) {
    log_error("link", "changed certificates cannot be used; the ones before stay",
              {{"error", context.error().text()}});
    return false;
  }
  context_.set(std::move(*context));
  log_info("link", "certificates were renewed", {{"certificate", identity_.certificate_file}});
  return true;
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
  return transfer::serve(wire, peer, make_hello(identity_, clock_), service_);
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
