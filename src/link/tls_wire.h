// What both ends of the link share: who we are, and a TLS connection as transfer/ wants it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ipc/setup.h"
#include "transfer/peer.h"
#include "transfer/wire.h"

namespace understudy::link {

inline constexpr const char* kAlpn = "understudy/1";

// Whether a certificate that TLS has verified still counts. Any thread; its errors reach the peer.
using StillGood = std::function<Status(const transfer::PeerIdentity& peer)>;

struct LinkIdentity {
  std::string host_name;  // our name for ourselves, shown to the other side
  std::string product_version;
  std::string certificate_file;
  std::string key_file;
  std::string authority_file;  // who may have signed the other side's certificate
};

// The files are not read yet.
ipc::TlsSetup tls_setup(const LinkIdentity& identity);
transfer::Hello make_hello(const LinkIdentity& identity, const Clock& clock);
// From the certificate alone: its names in lower case, the common name first.
Result<transfer::PeerIdentity> identity_of(const net::TlsStream& stream);

class TlsWire final : public transfer::Wire {
 public:
  // `fd` is the stream's own descriptor.
  TlsWire(std::unique_ptr<net::TlsStream> stream, int fd) : stream_(std::move(stream)), fd_(fd) {}
  Result<size_t> read(MutableByteView into, Duration timeout) override {
    return stream_->read(into, timeout);
  }
  Status write(ByteView bytes, Duration timeout) override { return stream_->write_all(bytes, timeout); }
  Status shutdown() override { return stream_->shutdown(); }
  void interrupt() override;

 private:
  std::unique_ptr<net::TlsStream> stream_;
  int fd_;
};

}  // namespace understudy::link
