// Connections between the two hosts: bytes arrive in order and late, or not at all.
#pragma once

#include <deque>
#include <memory>

#include "fibers.h"
#include "transfer/peer.h"
#include "transfer/wire.h"

namespace understudy::sim {

class World;

// What becomes of one connection; drawn when it is made.
struct LinkPlan {
  uint64_t cut_after = UINT64_MAX;    // bytes of both directions: then it breaks
  uint64_t stall_after = UINT64_MAX;  // then it swallows everything in silence
  uint64_t flip_after = UINT64_MAX;   // of what the primary writes: then one frame is damaged
  bool cut_reply = false;             // it breaks instead of delivering the last answer
};

class Connection {
 public:
  Connection(World& world, uint64_t id, const LinkPlan& plan) : world_(world), id_(id), plan_(plan) {}

  Result<size_t> read(int side, MutableByteView into, Duration timeout);
  Status write(int side, ByteView bytes);
  void shutdown(int side);
  void interrupt(int side);  // both directions end; what is under way to the other side arrives
  void break_off();
  bool broken() const { return broken_; }
  uint64_t id() const { return id_; }
  Uuid set;          // of the primary's disks, when it was made
  std::string peer;  // the name in the primary's certificate, then
  // What the primary wrote: all, up to a bound; or its greeting and its last request.
  const Bytes& recorded() const { return recorded_; }
  Bytes last_request() const;

 private:
  struct Piece {
    Monotonic due;
    Bytes bytes;
  };
  struct Pipe {
    std::deque<Piece> pieces;
    Monotonic last;
    bool closed = false;
  };
  bool interrupted_[2] = {};
  Status broken_error() const;
  void damage(Bytes& bytes);

  World& world_;
  const uint64_t id_;
  LinkPlan plan_;
  Pipe pipes_[2];  // by the side that writes: 0 the primary, 1 the replica
  uint64_t written_ = 0;
  bool broken_ = false;
  bool stalled_ = false;
  Bytes recorded_;
  Bytes greeting_;
  Bytes request_;
};

class SimWire final : public transfer::Wire {
 public:
  SimWire(World& world, int host, std::shared_ptr<Connection> connection, int side)
      : world_(world), host_(host), connection_(std::move(connection)), side_(side) {}
  ~SimWire() override { connection_->shutdown(side_); }
  Result<size_t> read(MutableByteView into, Duration timeout) override;
  Status write(ByteView bytes, Duration timeout) override;
  Status shutdown() override;
  void interrupt() override { connection_->interrupt(side_); }

 private:
  World& world_;
  const int host_;
  const std::shared_ptr<Connection> connection_;
  const int side_;
};

class SimConnector final : public transfer::Connector {
 public:
  SimConnector(World& world, int host) : world_(world), host_(host) {}
  Result<std::unique_ptr<transfer::Peer>> connect(const std::string& host, uint16_t port, Duration deadline,
                                                  const CancelToken& cancel) override;

 private:
  World& world_;
  const int host_;
};

class Network {
 public:
  explicit Network(World& world) : world_(world) {}
  std::shared_ptr<Connection> open(const LinkPlan& plan);
  // By the replica host; `peer` is whose certificate it sees.
  void serve(const std::shared_ptr<Connection>& connection, const std::string& peer);
  void break_all();
  size_t live();
  // A host that is believed gone says again what it said before.
  bool replay();

  bool partitioned = false;

 private:
  World& world_;
  uint64_t last_id_ = 0;
  std::vector<std::shared_ptr<Connection>> connections_;
};

}  // namespace understudy::sim
