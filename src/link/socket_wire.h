// A socket between two processes of this host as transfer/ wants it.
#pragma once

#include <sys/socket.h>

#include <utility>

#include "net/stream.h"
#include "transfer/frame_io.h"

namespace understudy::link {

class SocketWire final : public transfer::Wire {
 public:
  SocketWire(net::Fd socket, CancelToken cancel)
      : fd_(socket.get()), stream_({std::move(socket), "process"}, std::move(cancel)) {}
  Result<size_t> read(MutableByteView into, Duration timeout) override { return stream_.read(into, timeout); }
  Status write(ByteView bytes, Duration timeout) override { return stream_.write_all(bytes, timeout); }
  Status shutdown() override { return stream_.shutdown(); }
  void interrupt() override { ::shutdown(fd_, SHUT_RDWR); }

 private:
  const int fd_;
  net::PlainStream stream_;
};

// The daemon's end of a conversation. It reads for the first time when it has admitted the peer, and says so
// with a PING; the other end takes nothing from the network before.
class DaemonWire final : public transfer::Wire {
 public:
  DaemonWire(net::Fd socket, CancelToken cancel) : wire_(std::move(socket), std::move(cancel)) {}
  // Of what comes before the conversation.
  transfer::Wire& plain() { return wire_; }
  Result<size_t> read(MutableByteView into, Duration timeout) override {
    if (!std::exchange(told_, true))
      US_CHECK(transfer::write_frame(wire_, transfer::FrameType::ping, {}, timeout));
    return wire_.read(into, timeout);
  }
  Status write(ByteView bytes, Duration timeout) override { return wire_.write(bytes, timeout); }
  Status shutdown() override { return wire_.shutdown(); }
  void interrupt() override { wire_.interrupt(); }

 private:
  SocketWire wire_;
  bool told_ = false;
};

}  // namespace understudy::link
