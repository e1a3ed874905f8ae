// Both ends of the link between two hosts, as the rest of the product sees them.
#pragma once

#include <functional>
#include <memory>

#include "base/cancel.h"
#include "transfer/messages.h"
#include "transfer/source.h"

namespace understudy::transfer {

struct SendSummary {
  uint64_t data_bytes = 0;  // raw bytes of data extents
  uint64_t zero_bytes = 0;
  uint64_t wire_bytes = 0;  // written to the link, headers and all
};
// Called from the sending thread, at least every kCursorEvery bytes: raw bytes done (acknowledged as applied)
// of total.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

// The primary's connection to a replica host. One thread at a time; closed by the destructor. Every call has
// a deadline of its own (limits.h) and ends early on cancel. A refusal of the other side comes back as its
// Error.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual const Hello& hello() const = 0;  // of the other side
  virtual Result<PrepareAnswer> prepare(const PrepareRequest& request) = 0;
  virtual Result<Holdings> query(const QueryRequest& request) = 0;
  virtual Result<Cursor> begin(const BeginRequest& request) = 0;
  // Sends what the source yields from `from` on, compressed where it pays, and returns when the replica has
  // made all of it durable. Cursor acknowledgements arrive meanwhile and bound what is in flight.
  virtual Result<SendSummary> send(Source& source, Cursor from, bool compress, const Progress& progress,
                                   const CancelToken& cancel) = 0;
  virtual Result<RecoveryPoint> finish(const FinishRequest& request) = 0;
  virtual Status remove(const Uuid& vm) = 0;  // only a replica without any point
  // Needs a connection of its own while a transfer is open on this one.
  virtual Result<HashesAnswer> hashes(const HashesRequest& request) = 0;
};

// Makes connections: resolves, connects, TLS 1.3 with both certificates, hello. Any thread.
class Connector {
 public:
  virtual ~Connector() = default;
  virtual Result<std::unique_ptr<Peer>> connect(const std::string& host, uint16_t port, Duration deadline,
                                                const CancelToken& cancel) = 0;
};

// Who is at the other end, proven by its certificate. Names are lower case.
struct PeerIdentity {
  std::string common_name;
  std::vector<std::string> names;  // all DNS names of the certificate, the common name among them
  std::string thumbprint;          // SHA-256, upper-case hex
  std::string address;
  std::string product_version{};  // as its greeting says
};

// Where received ranges go: the replica's store behind what the daemon adds. Called by one link thread.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status write(uint32_t disk, uint64_t offset, ByteView data) = 0;
  virtual Status zero(uint32_t disk, uint64_t offset, uint64_t length) = 0;
  virtual Status advance(Cursor cursor) = 0;
  virtual Status complete(Cursor end) = 0;  // all of the transfer was given; its last extent ends there
};
struct Begun {
  Cursor cursor;
  std::shared_ptr<Sink> sink;  // dropped when the transfer ends, however it ends
};

// The replica host's side of each message. Called on the connection's thread; may block up to the call's
// deadline.
class PeerService {
 public:
  virtual ~PeerService() = default;
  // Before anything but the handshake is read: does any authorization entry admit this peer?
  virtual Status admit(const PeerIdentity& peer) = 0;
  virtual Result<PrepareAnswer> prepare(const PeerIdentity& peer, const PrepareRequest& request) = 0;
  virtual Result<Holdings> query(const PeerIdentity& peer, const QueryRequest& request) = 0;
  virtual Result<Begun> begin(const PeerIdentity& peer, const BeginRequest& request) = 0;
  virtual Result<RecoveryPoint> finish(const PeerIdentity& peer, const FinishRequest& request) = 0;
  virtual Status remove(const PeerIdentity& peer, const Uuid& vm) = 0;
  virtual Result<HashesAnswer> hashes(const PeerIdentity& peer, const HashesRequest& request) = 0;
};

}  // namespace understudy::transfer
