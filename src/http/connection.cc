#include "http/connection.h"

namespace understudy::http {
namespace {

constexpr size_t kReadSize = 16 << 10;
constexpr int kMostLingerReads = 128;
constexpr Duration kLinger = Duration::seconds(2);

HttpResponse plain(int status) {
  HttpResponse response;
  response.status = status;
  return response;
}

}  // namespace

void ServerConnection::serve() {
  while (serve_one() == Next::keep) {
  }
  linger();
}

// Ends our side and drops what still comes for a moment: closing with unread bytes would reset the
// connection, and the client would lose the answer that says why.
void ServerConnection::linger() {
  (void)stream_.shutdown();
  idle_since_ = 1;  // the first to go when somebody else needs the place
  const Monotonic until = net::deadline_in(kLinger);
  for (int i = 0; i < kMostLingerReads; ++i) {
    buffer_.clear();
    if (!receive(until)) break;
  }
}

bool ServerConnection::receive(Monotonic until) {
  const size_t before = buffer_.size();
  buffer_.resize(before + kReadSize);
  const auto n =
      stream_.read(MutableByteView(reinterpret_cast<std::byte*>(buffer_.data()) + before, kReadSize),
                   until - net::deadline_in({}));
  buffer_.resize(before + (n ? *n : 0));
  return n && *n > 0;
}

bool ServerConnection::wait_for_first_byte() {
  if (!buffer_.empty()) return true;  // the client did not wait for our answer
  idle_since_ = net::deadline_in({}).us;
  return receive(net::deadline_in(limits_.idle));
}

bool ServerConnection::feed(RequestParser& parser, bool (RequestParser::*done)() const, Monotonic until) {
  while (true) {
    buffer_.erase(0, parser.put(buffer_));
    if (parser.refusal() != 0) {
      send(plain(parser.refusal()), false, false);
      return false;
    }
    if ((parser.*done)()) return true;
    if (!receive(until)) return false;
  }
}

ServerConnection::Next ServerConnection::send(const HttpResponse& response, bool keep, bool head_only) {
  const std::string bytes = write_response(response, keep, head_only);
  const bool sent = stream_.write_all(as_bytes(bytes), limits_.request).has_value();
  return sent && keep ? Next::keep : Next::close;
}

ServerConnection::Next ServerConnection::serve_one() {
  if (!wait_for_first_byte()) return Next::close;
  const Monotonic until = net::deadline_in(limits_.request);
  RequestParser parser(limits_.most_header, limits_.most_body);
  if (!feed(parser, &RequestParser::head_complete, until)) return Next::close;
  const HttpRequest head = parser.take();
  const bool head_only = head.method == "HEAD";
  idle_since_ = 0;  // from here on somebody is asked, and cannot be interrupted
  const auto admitted = admit_(head);
  if (!admitted) {
    idle_since_ = net::deadline_in({}).us;
    return refuse(parser, admitted.error(), head_only, until);
  }
  return answer(parser, *admitted, head_only, until);
}

ServerConnection::Next ServerConnection::refuse(RequestParser& parser, const HttpResponse& refusal,
                                                bool head_only, Monotonic until) {
  // Whoever asked first whether to send its body may or may not send it now: that cannot be told apart.
  const bool skip = parser.keep_alive() && !parser.expects_continue() && parser.content_length() &&
                    *parser.content_length() <= kMostSkippedBody;
  if (!skip) return send(refusal, false, head_only);
  parser.take_body(kMostSkippedBody);
  if (!feed(parser, &RequestParser::complete, until)) return Next::close;
  return send(refusal, true, head_only);
}

ServerConnection::Next ServerConnection::answer(RequestParser& parser, const Answer& answer, bool head_only,
                                                Monotonic until) {
  if (parser.expects_continue() && buffer_.empty()) {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!stream_.write_all(as_bytes(kContinue), limits_.request)) return Next::close;
  }
  parser.take_body(limits_.most_body);
  if (!feed(parser, &RequestParser::complete, until)) return Next::close;
  const bool keep = parser.keep_alive();
  return send(answer(parser.take()), keep, head_only);
}

}  // namespace understudy::http
