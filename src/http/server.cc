#include "http/server.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "base/log.h"
#include "base/log_rate.h"
#include "base/thread.h"
#include "http/connection.h"

namespace understudy::http {
namespace {

// One connection and its thread. The accepting thread makes, evicts and joins; the connection's thread only
// marks.
struct Slot {
  std::string address;  // without the port
  CancelToken cancel;
  std::atomic<int64_t> idle_since{net::deadline_in({}).us};  // see ServerConnection
  std::atomic<bool> done{false};
  Thread thread;  // last: joined before the rest goes
};

}  // namespace

struct HttpServer::State {
  State(Welcome w, ServerLimits l) : welcome(std::move(w)), limits(l) {}

  struct Door {
    Listener listener;
    std::vector<std::unique_ptr<Slot>> slots;  // the accepting thread's alone
    Thread thread;
  };
  Welcome welcome;
  ServerLimits limits;
  CancelToken stop;
  LogRate rate;
  std::vector<std::unique_ptr<Door>> doors;

  void accept_loop(Door& door);
  void complain(const std::string& from);
  bool make_room(Door& door);
  void start(Door& door, net::Connection connection);
  void serve(const net::TlsInUse* tls, net::Connection connection, Slot& slot);
};

// A full house ends a connection that serves nobody: of the address that has most of them, so that a flood
// from one place only ends its own, the one that has been so longest. When all serve somebody there is no
// room.
bool HttpServer::State::make_room(Door& door) {
  auto& slots = door.slots;
  std::erase_if(slots, [](const auto& slot) { return slot->done.load(); });
  if (slots.size() < door.listener.most_connections) return true;
  std::map<std::string_view, size_t> crowd;
  for (const auto& slot : slots) ++crowd[slot->address];
  auto worst = slots.end();
  std::pair<size_t, int64_t> rank;
  for (auto it = slots.begin(); it != slots.end(); ++it) {
    const int64_t since = (*it)->idle_since;
    const std::pair mine{crowd[(*it)->address], -since};
    if (since == 0 || (worst != slots.end() && mine <= rank)) continue;
    worst = it;
    rank = mine;
  }
  if (worst == slots.end()) return false;
  (*worst)->cancel.cancel();
  slots.erase(worst);
  return true;
}

void HttpServer::State::accept_loop(Door& door) {
  while (true) {
    auto connection = net::accept(door.listener.socket, stop);
    if (!connection) {
      if (connection.error().code() != ErrorCode::cancelled)
        log_error("http", "no longer listening", {{"cause", connection.error().text()}});
      break;
    }
    if (make_room(door))
      start(door, std::move(*connection));
    else
      complain(connection->peer);
  }
  for (const auto& slot : door.slots) slot->cancel.cancel();
  door.slots.clear();
}

void HttpServer::State::complain(const std::string& from) {
  if (const auto left_out = rate.pass(net::deadline_in({})))
    log_warning("http", "connection refused: all are busy", {{"from", from}, {"left_out", *left_out}});
}

void HttpServer::State::start(Door& door, net::Connection connection) {
  auto slot = std::make_unique<Slot>();
  slot->address = connection.peer.substr(0, connection.peer.rfind(':'));
  auto shared = std::make_shared<net::Connection>(std::move(connection));  // std::function wants it copyable
  slot->thread = Thread("http", [this, tls = door.listener.tls, shared, &slot = *slot] {
    serve(tls, std::move(*shared), slot);
    slot.done = true;
  });
  door.slots.push_back(std::move(slot));
}

void HttpServer::State::serve(const net::TlsInUse* tls, net::Connection connection, Slot& slot) {
  ConnectionInfo info;
  info.from = connection.peer;
  if (!tls) {
    net::PlainStream stream(std::move(connection), slot.cancel);
    info.unix_uid = stream.peer_uid();
    ServerConnection(stream, welcome(info), limits, slot.idle_since).serve();
    return;
  }
  const auto stream = tls->get().accept(std::move(connection), limits::kLinkHandshake, slot.cancel);
  if (!stream) {
    log_debug("http", "no TLS", {{"from", info.from}, {"cause", stream.error().text()}});
    return;
  }
  info.certificate = (*stream)->certificate();
  ServerConnection(**stream, welcome(info), limits, slot.idle_since).serve();
}

HttpServer::HttpServer(std::vector<Listener> listeners, Welcome welcome, ServerLimits limits)
    : state_(std::make_unique<State>(std::move(welcome), limits)) {
  for (Listener& listener : listeners) {
    auto& door = *state_->doors.emplace_back(std::make_unique<State::Door>());
    door.listener = std::move(listener);
    door.thread = Thread("http-accept", [state = state_.get(), &door] { state->accept_loop(door); });
  }
}

HttpServer::~HttpServer() {
  state_->stop.cancel();
  for (const auto& door : state_->doors) door->thread.join();
}

}  // namespace understudy::http
