#include "network.h"

#include <algorithm>

#include "transfer/client.h"
#include "transfer/frames.h"
#include "transfer/session.h"
#include "world.h"

namespace understudy::sim {
namespace {
constexpr size_t kMostRecorded = 64 << 10;

transfer::Hello hello_of(const Host& host) {
  return {1, 1, {"zstd"}, host.name, "0.1.0", host.clock.now().wall};
}
}  // namespace

// --- one connection ---

Status Connection::broken_error() const {
  return fail(ErrorCode::not_available, "connection reset");
}

Result<size_t> Connection::read(int side, MutableByteView into, Duration timeout) {
  Pipe& pipe = pipes_[1 - side];
  const Monotonic until = world_.fibers.now() + timeout;
  while (true) {
    if (broken_ || interrupted_[side]) return fail(broken_error().error());
    const Monotonic now = world_.fibers.now();
    if (!pipe.pieces.empty() && pipe.pieces.front().due <= now) {
      Bytes& bytes = pipe.pieces.front().bytes;
      const size_t n = std::min(into.size(), bytes.size());
      std::copy_n(bytes.begin(), n, into.begin());
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n));
      if (bytes.empty()) pipe.pieces.pop_front();
      return n;
    }
    if (pipe.pieces.empty() && pipe.closed) return size_t{0};
    if (now >= until) return fail(ErrorCode::timeout, "no answer in time");
    Monotonic next = until;
    if (!pipe.pieces.empty()) next = std::min(next, pipe.pieces.front().due);
    (void)world_.fibers.wait(this, next - now);
  }
}

Status Connection::write(int side, ByteView bytes) {
  if (broken_ || interrupted_[side] || interrupted_[1 - side]) return broken_error();
  if (pipes_[side].closed) return broken_error();
  Pipe& pipe = pipes_[side];
  if (side == 0 && recorded_.size() + bytes.size() <= kMostRecorded)
    recorded_.insert(recorded_.end(), bytes.begin(), bytes.end());
  if (side == 0 && bytes.size() > transfer::kHeaderSize) {
    const auto type = static_cast<transfer::FrameType>(bytes[3]);
    if (type == transfer::FrameType::hello) greeting_.assign(bytes.begin(), bytes.end());
    if (type == transfer::FrameType::request) request_.assign(bytes.begin(), bytes.end());
  }
  // Of a loss after the request was carried out: the finish or begin is done, nobody hears of it.
  if (side == 1 && plan_.cut_reply && written_ > 0 && bytes.size() > 3 &&
      static_cast<transfer::FrameType>(bytes[3]) == transfer::FrameType::answer && world_.random.one_in(3)) {
    world_.faults.count(Fault::reply_lost);
    break_off();
    return broken_error();
  }
  Bytes copy(bytes.begin(), bytes.end());
  const uint64_t before = written_;
  written_ += copy.size();
  if (before <= plan_.flip_after && plan_.flip_after < written_) damage(copy);
  const bool cut = plan_.cut_after < written_;
  if (!stalled_ && plan_.stall_after < written_) {
    stalled_ = true;
    world_.faults.count(Fault::connection_stalls);
  }
  if (cut) copy.resize(plan_.cut_after - std::min(before, plan_.cut_after));
  world_.trace.add(copy.size());
  if (!stalled_ && !copy.empty()) {
    const Monotonic due = std::max(pipe.last, world_.fibers.now() + world_.faults.latency());
    pipe.last = due;
    pipe.pieces.push_back({due, std::move(copy)});
    world_.fibers.notify(this);
  }
  if (!cut) return {};
  world_.faults.count(Fault::connection_cut);
  // What is under way arrives or not.
  if (world_.random.one_in(2)) {
    pipes_[0].closed = pipes_[1].closed = true;
    plan_.cut_after = UINT64_MAX;
    world_.fibers.notify(this);
  } else {
    break_off();
  }
  return broken_error();
}

// Binary frames anywhere, their checks find it; JSON has none of its own, so it is damaged beyond reading.
void Connection::damage(Bytes& bytes) {
  plan_.flip_after = UINT64_MAX;
  world_.faults.count(Fault::frame_damaged);
  if (bytes.size() <= transfer::kHeaderSize) {
    bytes[world_.random.below(bytes.size())] ^= std::byte{4};
    return;
  }
  const auto type = static_cast<transfer::FrameType>(bytes[3]);
  const bool text =
      bytes[0] == std::byte{'U'} && bytes[1] == std::byte{'S'} && type <= transfer::FrameType::error;
  const uint64_t way = world_.random.below(4);
  if (way == 0) {
    bytes[world_.random.below(transfer::kHeaderSize)] ^= std::byte{1};
  } else if (!text) {
    bytes[world_.random.below(bytes.size())] ^= std::byte{16};
  } else if (way == 1) {  // an object without members
    std::fill(bytes.begin() + transfer::kHeaderSize, bytes.end(), std::byte{' '});
    bytes[transfer::kHeaderSize] = std::byte{'{'};
    bytes.back() = std::byte{'}'};
  } else {
    bytes[transfer::kHeaderSize + world_.random.below(bytes.size() - transfer::kHeaderSize)] = std::byte{1};
  }
}

Bytes Connection::last_request() const {
  Bytes both = greeting_;
  both.insert(both.end(), request_.begin(), request_.end());
  return both;
}

void Connection::shutdown(int side) {
  pipes_[side].closed = true;
  world_.fibers.notify(this);
}

void Connection::interrupt(int side) {
  interrupted_[side] = true;
  shutdown(side);
}

void Connection::break_off() {
  broken_ = true;
  world_.fibers.notify(this);
}

// --- both ends ---

Result<size_t> SimWire::read(MutableByteView into, Duration timeout) {
  if (world_.hosts[static_cast<size_t>(host_)]->dead)
    return fail(ErrorCode::not_available, "the process is dead");
  return connection_->read(side_, into, timeout);
}
Status SimWire::write(ByteView bytes, Duration) {
  if (world_.hosts[static_cast<size_t>(host_)]->dead)
    return fail(ErrorCode::not_available, "the process is dead");
  US_CHECK(connection_->write(side_, bytes));
  world_.fibers.rest({});
  return {};
}
Status SimWire::shutdown() {
  connection_->shutdown(side_);
  return {};
}

Result<std::unique_ptr<transfer::Peer>> SimConnector::connect(const std::string&, uint16_t, Duration deadline,
                                                              const CancelToken& cancel) {
  Host& mine = *world_.hosts[static_cast<size_t>(host_)];
  Host& other = *world_.hosts[static_cast<size_t>(1 - host_)];
  world_.fibers.rest(world_.faults.latency());
  US_CHECK(cancel.check());
  if (mine.dead) return fail(ErrorCode::not_available, "the process is dead");
  if (world_.network.partitioned || !world_.faults.link_answers()) {
    world_.fibers.rest(deadline);
    return fail(ErrorCode::not_available, "no route to " + other.name);
  }
  if (!other.up()) return fail(ErrorCode::not_available, other.name + " refuses the connection");
  const auto connection = world_.network.open(world_.faults.link());
  world_.network.serve(connection, connection->peer);
  auto wire = std::make_unique<SimWire>(world_, host_, connection, 0);
  US_TRY(auto client,
         transfer::Client::greet(std::move(wire), hello_of(mine), limits::kLinkHandshake, world_.throttle));
  return std::unique_ptr<transfer::Peer>(std::move(client));
}

// --- the network ---

std::shared_ptr<Connection> Network::open(const LinkPlan& plan) {
  std::erase_if(connections_, [](const auto& each) { return each.use_count() == 1 && each->broken(); });
  if (connections_.size() > 12) connections_.erase(connections_.begin());
  connections_.push_back(std::make_shared<Connection>(world_, ++last_id_, plan));
  connections_.back()->set = world_.primary().engine().lineage.set;
  connections_.back()->peer = world_.primary().certificate;
  return connections_.back();
}

void Network::serve(const std::shared_ptr<Connection>& connection, const std::string& name) {
  world_.fibers.start_for(1, "link-serve", [this, connection, name] {
    Host& host = world_.replica();
    if (host.dead) return;
    SimWire wire(world_, 1, connection, 1);
    const transfer::PeerIdentity peer{name, {name}, "AA", "192.0.2.1"};
    (void)transfer::serve(wire, peer, hello_of(host), host.service(), world_.cursor_every);
  });
}

void Network::break_all() {
  for (const auto& connection : connections_) connection->break_off();
}

size_t Network::live() {
  return static_cast<size_t>(std::count_if(connections_.begin(), connections_.end(),
                                           [](const auto& each) { return each.use_count() > 1; }));
}

bool Network::replay() {
  if (connections_.empty() || !world_.replica().up()) return false;
  const auto old = connections_[world_.random.below(connections_.size())];
  if (old->recorded().empty() || old->set != world_.primary().engine().lineage.set) return false;
  const auto again = open({});
  const Bytes bytes = world_.random.one_in(2) ? old->recorded() : old->last_request();
  const bool other = core::is_replica(world_.replica().phase()) && world_.random.one_in(5);
  static constexpr const char* kOthers[] = {"hosta", "hostc", "hostd"};
  serve(again, other ? kOthers[world_.random.below(3)] : old->peer);
  (void)again->write(0, bytes);
  again->shutdown(0);
  return true;
}

}  // namespace understudy::sim
