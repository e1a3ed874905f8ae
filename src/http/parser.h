// The bytes of HTTP/1.1, both ways: incremental parsers (Boost.Beast, private to parser.cc) and the writing
// of heads. A parser serves one message and one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace understudy::http {

// Reads one request. Two steps, so that the body of a stranger is never taken in: first the head alone, then,
// once `take_body` allows it, the rest.
class RequestParser {
 public:
  RequestParser(size_t most_header, size_t most_body);
  ~RequestParser();

  // Takes what it can from the front of `data` and says how much that was. It stops after the head until
  // take_body(), and after the message always.
  size_t put(std::string_view data);
  bool head_complete() const;
  bool complete() const;
  // 0, or the status to refuse the message with: 400, 413, 431 or 505. Nothing more can be read after that.
  int refusal() const;

  // After head_complete(). `most` may only lower the limit.
  void take_body(size_t most);
  std::optional<uint64_t> content_length() const;  // nothing when chunked; 0 when there is no body
  bool expects_continue() const;
  bool keep_alive() const;
  // The head after head_complete(), with the body after complete(). What stands in a trailer is dropped.
  HttpRequest take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads one response to a POST.
class ResponseParser {
 public:
  explicit ResponseParser(size_t most_body);
  ~ResponseParser();
  Result<size_t> put(std::string_view data);
  // The peer ended its side: the message is complete now, or it never will be.
  Status end();
  bool complete() const;
  bool keep_alive() const;
  HttpResponse take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The whole message as bytes. `head_only`: the answer to HEAD.
std::string write_response(const HttpResponse& response, bool keep_alive, bool head_only);
std::string write_request(const HttpRequest& request);

}  // namespace understudy::http
