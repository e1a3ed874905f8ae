#include "http/client.h"

#include "http/parser.h"

namespace understudy::http {
namespace {
constexpr size_t kReadSize = 16 << 10;
}

HttpClient::HttpClient(Connect connect, std::string host, size_t most_body)
    : connect_(std::move(connect)), host_(std::move(host)), most_body_(most_body) {}

// A kept connection that the server has ended meanwhile shows something to read, or an error; a good one is
// silent.
Status HttpClient::ensure_connection() {
  if (stream_) {
    std::byte unexpected[1];
    const auto heard = stream_->read(unexpected, Duration{});
    if (!heard && heard.error().code() == ErrorCode::timeout) return {};
    stream_.reset();
  }
  US_TRY(stream_, connect_());
  return {};
}

Result<HttpResponse> HttpClient::post(const std::string& target, std::vector<Header> headers,
                                      std::string body, Duration timeout) {
  US_CHECK(ensure_connection());
  const Monotonic until = net::deadline_in(timeout);
  headers.insert(headers.begin(), {"Host", host_});
  const std::string bytes = write_request({"POST", target, std::move(headers), std::move(body)});
  // A server may refuse early and stop reading: then its answer says more than our failed write.
  const auto sent = stream_->write_all(as_bytes(bytes), timeout);
  auto response = receive(until);
  if (!response) stream_.reset();
  if (!response && !sent) return fail(sent.error());
  return response;
}

Result<HttpResponse> HttpClient::receive(Monotonic until) {
  auto parser = std::make_unique<ResponseParser>(most_body_);
  std::string buffer;
  while (true) {
    while (!buffer.empty() && !parser->complete()) {
      US_TRY(const size_t used, parser->put(buffer));
      buffer.erase(0, used);
      if (used == 0) break;
    }
    if (parser->complete()) {
      const bool keep = parser->keep_alive();
      HttpResponse response = parser->take();
      if (response.status == 100) {
        parser = std::make_unique<ResponseParser>(most_body_);
        continue;
      }
      if (!keep || !buffer.empty()) stream_.reset();
      return response;
    }
    const size_t before = buffer.size();
    buffer.resize(before + kReadSize);
    const auto n =
        stream_->read(MutableByteView(reinterpret_cast<std::byte*>(buffer.data()) + before, kReadSize),
                      until - net::deadline_in({}));
    buffer.resize(before + (n ? *n : 0));
    if (!n) return fail(n.error());
    if (*n == 0) {
      US_CHECK(parser->end());
      if (!parser->complete())
        return fail(ErrorCode::not_available, "the connection was closed in the middle of the answer");
    }
  }
}

}  // namespace understudy::http
