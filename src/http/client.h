// An HTTP/1.1 client for one server: posts, keeps the connection, one request at a time. For one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/limits.h"
#include "http/message.h"
#include "net/stream.h"

namespace understudy::http {

class HttpClient {
 public:
  // `connect` opens a new stream whenever one is needed; `host` goes into the Host header.
  using Connect = std::function<Result<std::unique_ptr<net::Stream>>()>;
  HttpClient(Connect connect, std::string host, size_t most_body = 4 * limits::kMostEnvelope);

  // The answer whatever its status. A request is never sent twice: when the connection is lost while the
  // answer is awaited that is ErrorCode::not_available, and the request may have had its effect.
  Result<HttpResponse> post(const std::string& target, std::vector<Header> headers, std::string body,
                            Duration timeout);

 private:
  Status ensure_connection();
  Result<HttpResponse> receive(Monotonic until);

  Connect connect_;
  std::string host_;
  size_t most_body_;
  std::unique_ptr<net::Stream> stream_;
};

}  // namespace understudy::http
