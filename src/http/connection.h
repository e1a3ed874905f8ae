// One connection of the server, from its first byte to its end, in its own thread. Private to this folder.
#pragma once

#include <atomic>

#include "base/cancel.h"
#include "http/parser.h"
#include "http/server.h"
#include "net/stream.h"

namespace understudy::http {

// A body of a refused request that is read and dropped; one that is larger ends the connection.
inline constexpr size_t kMostSkippedBody = 64 << 10;

class ServerConnection {
 public:
  // `idle_since` is 0 while a caller is judged, and while the request of one who was admitted is under way;
  // else since when (Monotonic, microseconds) nothing worth waiting for is. Then the connection may be ended
  // for another.
  ServerConnection(net::Stream& stream, Admit admit, const ServerLimits& limits,
                   std::atomic<int64_t>& idle_since)
      : stream_(stream), admit_(std::move(admit)), limits_(limits), idle_since_(idle_since) {}
  // Serves requests until either side has had enough.
  void serve();

 private:
  enum class Next : uint8_t { keep, close };
  Next serve_one();
  Next refuse(RequestParser& parser, const HttpResponse& refusal, bool head_only, Monotonic until);
  Next answer(RequestParser& parser, const Answer& answer, bool head_only, Monotonic until);
  // Feeds the parser until `done` says so. False: the connection is over, or the message was refused (and
  // told so).
  bool feed(RequestParser& parser, bool (RequestParser::*done)() const, Monotonic until);
  bool receive(Monotonic until);
  bool wait_for_first_byte();
  void linger();
  Next send(const HttpResponse& response, bool keep, bool head_only);

  net::Stream& stream_;
  const Admit admit_;
  const ServerLimits& limits_;
  std::atomic<int64_t>& idle_since_;
  std::string buffer_;  // received and not yet parsed; bounded by one read and the header limit
};

}  // namespace understudy::http
