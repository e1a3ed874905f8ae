#include "net/stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace understudy::net {

Status read_exactly(Stream& stream, MutableByteView into, Duration timeout) {
  const Monotonic until = deadline_in(timeout);
  while (!into.empty()) {
    US_TRY(const size_t n, stream.read(into, until - deadline_in({})));
    if (n == 0)
      return fail(ErrorCode::not_available,
                  stream.peer() + " closed the connection in the middle of a message");
    into = into.subspan(n);
  }
  return {};
}

PlainStream::PlainStream(Connection connection, CancelToken cancel)
    : fd_(std::move(connection.fd)), peer_(std::move(connection.peer)), cancel_(std::move(cancel)) {}

Result<size_t> PlainStream::read(MutableByteView into, Duration timeout) {
  const Monotonic until = deadline_in(timeout);
  while (true) {
    US_CHECK(cancel_.check());
    const ssize_t n = recv(fd_.get(), into.data(), into.size(), 0);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail_socket(errno, "reading from " + peer_);
    US_CHECK(wait_ready(fd_.get(), Ready::to_read, until, cancel_, "reading from " + peer_));
  }
}

Status PlainStream::write_all(ByteView bytes, Duration timeout) {
  const Monotonic until = deadline_in(timeout);
  while (!bytes.empty()) {
    US_CHECK(cancel_.check());
    const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail_socket(errno, "writing to " + peer_);
    US_CHECK(wait_ready(fd_.get(), Ready::to_write, until, cancel_, "writing to " + peer_));
  }
  return {};
}

Status PlainStream::shutdown() {
  if (::shutdown(fd_.get(), SHUT_WR) != 0 && errno != ENOTCONN)
    return fail_socket(errno, "closing to " + peer_);
  return {};
}

std::optional<uid_t> PlainStream::peer_uid() const {
  sockaddr_storage address{};
  socklen_t address_size = sizeof address;
  ucred who{};
  socklen_t size = sizeof who;
  if (getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &address_size) != 0 ||
      address.ss_family != AF_UNIX || getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return std::nullopt;
  return who.uid;
}

}  // namespace understudy::net
