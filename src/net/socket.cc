#include "net/socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace understudy::net {
namespace {

constexpr int kBacklog = 64;
constexpr int kMostWaitMs = 1'000'000;
constexpr int kDescriptorWaitMs = 200;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> resolve(const std::string& host, uint16_t port, bool to_listen) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0);
  addrinfo* list = nullptr;
  const int rc =
      getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (rc != 0)
    return fail(ErrorCode::not_available, "cannot resolve '" + host + "': " + gai_strerror(rc),
                "check the name, or give an IP address");
  return Addresses(list);
}

std::string address_text(const sockaddr* address, socklen_t length) {
  if (address->sa_family == AF_UNIX) return "unix";
  char host[INET6_ADDRSTRLEN + 20] = {};
  char port[8] = {};
  if (getnameinfo(address, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
      0)
    return "unknown";
  const bool v6 = address->sa_family == AF_INET6;
  return (v6 ? "[" : "") + std::string(host) + (v6 ? "]:" : ":") + port;
}

void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

void tune(int fd, int family) {
  if (family == AF_UNIX) return;
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

Result<Fd> listen_on(const addrinfo& at, bool both_families) {
  Fd fd(socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_socket(errno, "socket");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (at.ai_family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1);
  if (bind(fd.get(), at.ai_addr, at.ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    const int error_number = errno;
    Error error =
        fail_socket(error_number, "cannot listen on " + address_text(at.ai_addr, at.ai_addrlen)).value();
    if (error_number == EADDRINUSE) error = error.with_hint("another program has this port: ss -ltnp");
    return fail(std::move(error));
  }
  return fd;
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(ErrorCode::invalid_parameter,
                "the socket path '" + path + "' is empty or longer than 107 bytes", "choose a shorter path");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Fd> connect_one(const addrinfo& to, Monotonic until, const CancelToken& cancel,
                       const std::string& what) {
  Fd fd(socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_socket(errno, "socket");
  if (connect(fd.get(), to.ai_addr, to.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return fail_socket(errno, what);
    US_CHECK(wait_ready(fd.get(), Ready::to_write, until, cancel, what));
    int error_number = 0;
    socklen_t size = sizeof error_number;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error_number, &size);
    if (error_number != 0) return fail_socket(error_number, what);
  }
  tune(fd.get(), to.ai_family);
  return fd;
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Monotonic deadline_in(Duration d) {
  return SystemClock().now().monotonic + d;
}

tl::unexpected<Error> fail_socket(int error_number, std::string_view what) {
  switch (error_number) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENOTCONN: {
      return fail(ErrorCode::not_available, std::string(what) + ": " + std::strerror(error_number));
    }
    default:
      return fail_errno(error_number, what);
  }
}

Result<SocketPair> socket_pair(int kind) {
  int ends[2];
  if (socketpair(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return fail_errno(errno, "making a socket pair");
  return SocketPair{Fd(ends[0]), Fd(ends[1])};
}

Status wait_ready(int fd, Ready ready, Monotonic until, const CancelToken& cancel, std::string_view what) {
  while (true) {
    US_CHECK(cancel.check());
    const int64_t left_us = (until - deadline_in({})).us;
    if (left_us <= 0) return fail(ErrorCode::timeout, std::string(what) + ": no answer in time");
    pollfd fds[2] = {{fd, static_cast<short>(ready == Ready::to_read ? POLLIN : POLLOUT), 0},
                     {cancel.fd(), POLLIN, 0}};
    const auto wait_ms = static_cast<int>(std::min<int64_t>((left_us + 999) / 1000, kMostWaitMs));
    const int n = poll(fds, 2, wait_ms);
    if (n < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (n > 0 && fds[0].revents != 0 && fds[1].revents == 0) return {};
  }
}

Result<Fd> listen_tcp(const std::string& address, uint16_t port) {
  if (address.empty()) {
    const bool v6 = access("/proc/net/if_inet6", F_OK) == 0;
    US_TRY(const Addresses any, resolve(v6 ? "::" : "0.0.0.0", port, true));
    return listen_on(*any, v6);
  }
  US_TRY(const Addresses list, resolve(address, port, true));
  return listen_on(*list, false);
}

Result<Fd> listen_unix(const std::string& path, mode_t mode) {
  US_TRY(const sockaddr_un address, unix_address(path));
  const auto probe = connect_unix(path);
  const bool dead = !probe && (probe.error().code() == ErrorCode::not_available ||
                               probe.error().code() == ErrorCode::not_found);
  if (!dead)
    return fail(ErrorCode::in_use, "somebody already answers on " + path, "stop the other daemon first");
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode))
      return fail(ErrorCode::in_use, path + " exists and is not a socket", "move it away");
    unlink(path.c_str());
  }
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_socket(errno, "socket");
  // The mode is set on the socket before it has a name, so nobody can slip in between bind and chmod.
  if (fchmod(fd.get(), mode) != 0 ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), mode) != 0 || listen(fd.get(), kBacklog) != 0)
    return fail_errno(errno, "cannot listen on " + path);
  return fd;
}

Result<uint16_t> bound_port(const Fd& listener) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return fail_errno(errno, "getsockname");
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return fail(ErrorCode::invalid_parameter, "a unix socket has no port");
}

std::string own_address() {
  char text[NI_MAXHOST] = {};
  std::string found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) == 0) {
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owned(list, &freeifaddrs);
    for (const int family : {AF_INET, AF_INET6})
      for (const ifaddrs* one = list; one != nullptr && found.empty(); one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != family ||
            (one->ifa_flags & IFF_UP) == 0 || (one->ifa_flags & IFF_LOOPBACK) != 0)
          continue;
        const auto* in6 = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
        if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)) continue;
        const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        if (getnameinfo(one->ifa_addr, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
          found = text;
      }
  }
  if (found.empty() && gethostname(text, sizeof text - 1) == 0) found = text;
  return found;
}

Result<Connection> accept(const Fd& listener, const CancelToken& cancel) {
  while (true) {
    US_CHECK(cancel.check());
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    const int fd =
        accept4(listener.get(), reinterpret_cast<sockaddr*>(&address), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      tune(fd, address.ss_family);
      return Connection{Fd(fd), address_text(reinterpret_cast<const sockaddr*>(&address), length)};
    }
    switch (errno) {
      case EAGAIN: {
        pollfd fds[2] = {{listener.get(), POLLIN, 0}, {cancel.fd(), POLLIN, 0}};
        poll(fds, 2, kMostWaitMs);
        break;
      }
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM: {
        pollfd cancelled{cancel.fd(), POLLIN, 0};
        poll(&cancelled, 1, kDescriptorWaitMs);
        break;
      }
      case EINTR:
      case ECONNABORTED:
      case EPROTO:
      case ENETDOWN:
      case EHOSTUNREACH:
      case ENETUNREACH:
      case EHOSTDOWN:
        break;  // the connection died before we took it
      default:
        return fail_errno(errno, "accept");
    }
  }
}

Result<Connection> connect_tcp(const std::string& host, uint16_t port, Duration timeout,
                               const CancelToken& cancel) {
  const Monotonic until = deadline_in(timeout);
  US_TRY(const Addresses list, resolve(host, port, false));
  Error last(ErrorCode::not_available, "'" + host + "' has no address");
  for (const addrinfo* at = list.get(); at; at = at->ai_next) {
    const std::string peer = address_text(at->ai_addr, at->ai_addrlen);
    auto fd = connect_one(*at, until, cancel, "cannot connect to " + host + " (" + peer + ")");
    if (fd) return Connection{std::move(*fd), peer};
    last = fd.error();
    if (last.code() == ErrorCode::cancelled) break;
  }
  return fail(last);
}

Result<Connection> connect_unix(const std::string& path) {
  US_TRY(const sockaddr_un address, unix_address(path));
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_socket(errno, "socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_socket(errno, "cannot connect to " + path);
  return Connection{std::move(fd), "unix"};
}

}  // namespace understudy::net
