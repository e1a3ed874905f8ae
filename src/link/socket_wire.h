// A socket between two processes of this host as transfer/ wants it.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <utility>

#include "net/stream.h"
#include "transfer/frame_io.h"

namespace understudy::link {

class SocketWire final : public transfer::Wire {
 public:
  SocketWire(net::Fd socket, CancelToken cancel)
      : fd_(socket.get()), stream_({std::move(socket), "process"}, std::move(cancel)) {}
  // Asked before each read and write from now on: its error ends them.
  void heed(std::function<Status()> may_go_on) { may_go_on_ = std::move(may_go_on); }
  Result<size_t> read(MutableByteView into, Duration timeout) override {
    if (may_go_on_) US_CHECK(may_go_on_());
    return stream_.read(into, timeout);
  }
  Status write(ByteView bytes, Duration timeout) override {
    if (may_go_on_) US_CHECK(may_go_on_());
    return stream_.write_all(bytes, timeout);
  }
  Status shutdown() override { return stream_.shutdown(); }
  void interrupt() override { ::shutdown(fd_, SHUT_RDWR); }

 private:
  const int fd_;
  net::PlainStream stream_;
  std::function<Status()> may_go_on_;
};

// The daemon's end of a conversation. It reads for the first time when it has admitted the peer, and says so
// with a PING; the other end takes nothing from the network before.
class DaemonWire final : public transfer::Wire {
 public:
  DaemonWire(net::Fd socket, CancelToken cancel) : wire_(std::move(socket), std::move(cancel)) {}
  // Of what comes before the conversation.
  transfer::Wire& plain() { return wire_; }
  // Asked before each read from now on: its error ends the conversation, and can still be told.
  void heed(std::function<Status()> may_go_on) { may_go_on_ = std::move(may_go_on); }
  Result<size_t> read(MutableByteView into, Duration timeout) override {
    if (may_go_on_) US_CHECK(may_go_on_());
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
  std::function<Status()> may_go_on_;
};

}  // namespace understudy::link
