// What the daemon and a process of its own say to each other beside the conversations: whole messages on one
// socket pair of kind SOCK_SEQPACKET, with descriptors where they belong to it (docs/spec/processes.md). The
// process has its end as its standard input; when the other end closes, it ends. One thread sends, one
// receives.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/cancel.h"
#include "net/socket.h"

namespace understudy::ipc {

inline constexpr size_t kMostControl = 128 << 10;  // certificates with their chains
inline constexpr size_t kMostDescriptors = 4;

enum class Notice : uint8_t {
  setup = 1,   // to the process: Setup, with the descriptor it listens on
  ready = 2,   // from it: it is confined and serves
  failed = 3,  // from it: Error; it ends
  lane = 4,    // either way: a conversation begins on the descriptor
};

struct ControlMessage {
  Notice notice = Notice::setup;
  Bytes payload;
  std::vector<net::Fd> descriptors;
};

class Control {
 public:
  explicit Control(net::Fd socket) : socket_(std::move(socket)) {}
  Status send(Notice notice, ByteView payload = {}, std::initializer_list<int> descriptors = {});
  // ErrorCode::not_available when the other side is gone; timeout, cancelled, protocol.
  Result<ControlMessage> receive(Duration timeout, const CancelToken& cancel);

 private:
  net::Fd socket_;
};

}  // namespace understudy::ipc
