// Sockets as owned descriptors, all non-blocking and close-on-exec, and the one way to wait for one: poll
// with a deadline and a token. Free functions; any thread. Name resolution is the system's and keeps the
// system's time-outs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

#include "base/cancel.h"
#include "base/result.h"
#include "base/time.h"

namespace understudy::net {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A connection with the other end as text: "192.0.2.1:5986", "[::1]:5986", or "unix" (uid in PlainStream).
struct Connection {
  Fd fd;
  std::string peer;
};

// `address` is an IP address or a name; empty means all addresses of both families. Port 0 lets the system
// choose.
Result<Fd> listen_tcp(const std::string& address, uint16_t port);
// Removes a dead socket file of that name first; refuses when somebody answers on it.
Result<Fd> listen_unix(const std::string& path, mode_t mode);
Result<uint16_t> bound_port(const Fd& listener);
// Where others most likely reach this host: the first address of an interface that is up and no loopback,
// IPv4 before IPv6; else the host's name.
std::string own_address();
// Waits for one connection. While the process has no descriptor left it goes on waiting, politely.
Result<Connection> accept(const Fd& listener, const CancelToken& cancel);

// Tries the addresses of `host` in the system's order until one answers.
Result<Connection> connect_tcp(const std::string& host, uint16_t port, Duration timeout,
                               const CancelToken& cancel = {});
Result<Connection> connect_unix(const std::string& path);

// Two ends of one stream within the host.
struct SocketPair {
  Fd ours, theirs;
};
// `kind`: SOCK_STREAM or SOCK_SEQPACKET.
Result<SocketPair> socket_pair(int kind);

enum class Ready : uint8_t { to_read, to_write };
// ErrorCode::timeout at `until`, ErrorCode::cancelled when cancelled. `what` begins the message.
Status wait_ready(int fd, Ready ready, Monotonic until, const CancelToken& cancel, std::string_view what);
Monotonic deadline_in(Duration d);

// An errno of a socket call: what means "nobody is there" becomes ErrorCode::not_available.
tl::unexpected<Error> fail_socket(int error_number, std::string_view what);

}  // namespace understudy::net
