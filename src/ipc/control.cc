#include "ipc/control.h"

#include <sys/socket.h>

#include <array>
#include <cstring>

namespace understudy::ipc {
namespace {

constexpr size_t kHead = 2;  // version, notice
constexpr uint8_t kControlVersion = 1;

}  // namespace

Status Control::send(Notice notice, ByteView payload, std::initializer_list<int> descriptors) {
  if (payload.size() > kMostControl - kHead || descriptors.size() > kMostDescriptors)
    return fail(ErrorCode::too_large, "a message of " + std::to_string(payload.size()) +
                                          " bytes to a process of ours, at most " +
                                          std::to_string(kMostControl));
  uint8_t head[kHead] = {kControlVersion, static_cast<uint8_t>(notice)};
  iovec parts[2] = {{head, kHead}, {const_cast<std::byte*>(payload.data()), payload.size()}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (descriptors.size() > 0) {
    message.msg_control = space.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), descriptors.begin(), descriptors.size() * sizeof(int));
  }
  while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return net::fail_socket(errno, "speaking with a process of ours");
    US_CHECK(net::wait_ready(socket_.get(), net::Ready::to_write, net::deadline_in(Duration::seconds(5)), {},
                             "speaking with a process of ours"));
  }
  return {};
}

Result<ControlMessage> Control::receive(Duration timeout, const CancelToken& cancel) {
  constexpr const char* kWhat = "listening to a process of ours";
  US_CHECK(net::wait_ready(socket_.get(), net::Ready::to_read, net::deadline_in(timeout), cancel, kWhat));
  Bytes buffer(kMostControl);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> space{};
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  const ssize_t n = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  if (n < 0) return net::fail_socket(errno, kWhat);
  ControlMessage result;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    std::array<int, kMostDescriptors> got{};
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::memcpy(got.data(), CMSG_DATA(c), count * sizeof(int));
    for (size_t i = 0; i < count; ++i) result.descriptors.emplace_back(got[i]);
  }
  if (n == 0) return fail(ErrorCode::not_available, "the other process has ended");
  const auto notice = static_cast<uint8_t>(buffer[1]);
  if (static_cast<size_t>(n) < kHead || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
      static_cast<uint8_t>(buffer[0]) != kControlVersion || notice < 1 ||
      notice > static_cast<uint8_t>(Notice::lane))
    return fail(ErrorCode::protocol, "no message of a process of ours");
  result.notice = static_cast<Notice>(notice);
  result.payload.assign(buffer.begin() + kHead, buffer.begin() + n);
  return result;
}

}  // namespace understudy::ipc
