// An HTTP/1.1 server over TLS and the local socket: one thread that accepts for each listener, one thread for
// each connection, both bounded. It starts in the constructor and stops in the destructor, which cancels
// every wait and joins every thread; a handler that is running is waited for.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "http/message.h"
#include "net/socket.h"
#include "net/tls.h"

namespace understudy::http {

// What the connection proves about the other side.
struct ConnectionInfo {
  std::string from;                                 // peer address, or "unix"
  std::optional<uint32_t> unix_uid;                 // on the local socket
  std::optional<net::PeerCertificate> certificate;  // verified by TLS
};

// Answers a request whose body has come. Runs in the connection's thread.
using Answer = std::function<HttpResponse(const HttpRequest&)>;
// Looks at a head, before a byte of the body is read: either who will answer, or the refusal (401, 404, ...).
// After a refusal a small body is skipped, so that the client can repeat itself on the same connection.
using Admit = std::function<tl::expected<Answer, HttpResponse>(const HttpRequest& head)>;
// Called once for each connection, in its thread; the Admit is for its requests, and goes when it ends.
using Welcome = std::function<Admit(const ConnectionInfo&)>;

struct Listener {
  net::Fd socket;
  const net::TlsInUse* tls = nullptr;  // null: plain, for the local socket
  size_t most_connections = limits::kMostHttpConnections;
};

// A token of Kerberos has up to 48000 bytes, which is 64000 in base64. The parser holds a field in 64 KiB, so
// that a head must not have more.
inline constexpr size_t kMostRequestHead = (64 << 10) - 1024;

struct ServerLimits {
  size_t most_header = kMostRequestHead;
  size_t most_body = limits::kMostEnvelope;
  Duration request =
      limits::kHttpRequest;  // from the first byte of a request to its last; and to send the answer
  Duration idle = limits::kHttpIdle;
};

class HttpServer {
 public:
  HttpServer(std::vector<Listener> listeners, Welcome welcome, ServerLimits limits = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace understudy::http
