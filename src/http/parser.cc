#include "http/parser.h"

#include <algorithm>
#include <boost/beast/http.hpp>
#include <cctype>

#include "base/limits.h"

namespace understudy::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using BeastError = beast::http::error;
using Fields = beast::http::fields;

std::string text(beast::string_view view) {
  return {view.data(), view.size()};
}

std::vector<Header> copy_headers(const Fields& fields) {
  std::vector<Header> headers;
  for (const auto& field : fields) headers.push_back({text(field.name_string()), text(field.value())});
  return headers;
}

int status_of(const error_code& ec) {
  if (ec == BeastError::body_limit) return 413;
  if (ec == BeastError::header_limit) return 431;
  if (ec == BeastError::bad_version) return 505;
  return 400;
}

bool all_digits(beast::string_view value) {
  return !value.empty() &&
         std::all_of(value.begin(), value.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Where two readers of the same bytes could disagree about where the message ends, or whom it is for, it is
// refused.
bool ambiguous(const beast::http::request_header<>& head) {
  const auto lengths = head.count("Content-Length");
  const auto encodings = head.count("Transfer-Encoding");
  if (lengths + encodings > 1 || head.count("Host") > 1) return true;
  if (lengths == 1 && !all_digits(head["Content-Length"])) return true;
  if (encodings == 1 && (head.version() < 11 || !beast::iequals(head["Transfer-Encoding"], "chunked")))
    return true;
  return head.version() == 11 && head.count("Host") == 0;
}

template <class Parser>
size_t put_some(Parser& parser, std::string_view data, error_code& ec) {
  if (data.empty() || parser.is_done()) return 0;
  const size_t used = parser.put(boost::asio::buffer(data.data(), data.size()), ec);
  if (ec == BeastError::need_more) ec = {};
  return used;
}

void write_headers(std::string& out, const std::vector<Header>& headers) {
  for (const Header& header : headers)
    out.append(header.name).append(": ").append(header.value).append("\r\n");
}

}  // namespace

bool same_header(std::string_view a, std::string_view b) {
  return beast::iequals(a, b);
}

namespace {
std::string_view find(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers)
    if (same_header(header.name, name)) return header.value;
  return {};
}
}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  return find(headers, name);
}
std::string_view HttpResponse::header(std::string_view name) const {
  return find(headers, name);
}

struct RequestParser::State {
  beast::http::request_parser<beast::http::string_body> parser;
  std::vector<Header> headers;  // of the head: Beast adds what stands in a trailer, which nobody has judged
  bool may_read_body = false;
  int refusal = 0;
};

RequestParser::RequestParser(size_t most_header, size_t most_body) : state_(std::make_unique<State>()) {
  state_->parser.header_limit(static_cast<uint32_t>(most_header));
  state_->parser.body_limit(most_body);
  state_->parser.eager(false);
}
RequestParser::~RequestParser() = default;

size_t RequestParser::put(std::string_view data) {
  auto& parser = state_->parser;
  size_t used = 0;
  while (used < data.size() && state_->refusal == 0 && !parser.is_done() &&
         (!parser.is_header_done() || state_->may_read_body)) {
    error_code ec;
    const size_t n = put_some(parser, data.substr(used), ec);
    used += n;
    if (ec)
      state_->refusal = status_of(ec);
    else if (parser.is_header_done() && !state_->may_read_body) {
      if (ambiguous(parser.get())) state_->refusal = 400;
      state_->headers = copy_headers(parser.get().base());
    }
    if (n == 0) break;
  }
  return used;
}

bool RequestParser::head_complete() const {
  return state_->refusal == 0 && state_->parser.is_header_done();
}
bool RequestParser::complete() const {
  return state_->refusal == 0 && state_->parser.is_done();
}
int RequestParser::refusal() const {
  return state_->refusal;
}

void RequestParser::take_body(size_t most) {
  state_->parser.body_limit(most);
  state_->may_read_body = true;
}

std::optional<uint64_t> RequestParser::content_length() const {
  if (state_->parser.chunked()) return std::nullopt;
  const auto length = state_->parser.content_length();
  return length ? *length : 0;
}

bool RequestParser::expects_continue() const {
  return state_->parser.get().version() == 11 &&
         beast::iequals(state_->parser.get()["Expect"], "100-continue");
}
bool RequestParser::keep_alive() const {
  return state_->parser.get().keep_alive();
}

HttpRequest RequestParser::take() {
  auto& message = state_->parser.get();
  return {text(message.method_string()), text(message.target()), state_->headers, std::move(message.body())};
}

struct ResponseParser::State {
  beast::http::response_parser<beast::http::string_body> parser;
};

ResponseParser::ResponseParser(size_t most_body) : state_(std::make_unique<State>()) {
  state_->parser.header_limit(limits::kMostHttpHeader);
  state_->parser.body_limit(most_body);
  state_->parser.eager(true);
}
ResponseParser::~ResponseParser() = default;

Result<size_t> ResponseParser::put(std::string_view data) {
  error_code ec;
  const size_t used = put_some(state_->parser, data, ec);
  if (ec == BeastError::body_limit) return fail(ErrorCode::too_large, "the answer is larger than allowed");
  if (ec) return fail(ErrorCode::protocol, "the answer is not HTTP: " + ec.message());
  return used;
}

Status ResponseParser::end() {
  error_code ec;
  if (!state_->parser.got_some())
    return fail(ErrorCode::not_available, "the connection was closed before an answer came");
  if (!state_->parser.is_done()) state_->parser.put_eof(ec);
  if (ec) return fail(ErrorCode::not_available, "the connection was closed in the middle of the answer");
  return {};
}

bool ResponseParser::complete() const {
  return state_->parser.is_done();
}
bool ResponseParser::keep_alive() const {
  return state_->parser.get().keep_alive();
}

HttpResponse ResponseParser::take() {
  auto& message = state_->parser.get();
  return {static_cast<int>(message.result_int()), copy_headers(message.base()), std::move(message.body())};
}

std::string write_response(const HttpResponse& response, bool keep_alive, bool head_only) {
  const auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(response.status));
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " " + text(reason) + "\r\n";
  write_headers(out, response.headers);
  out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (!head_only) out += response.body;
  return out;
}

std::string write_request(const HttpRequest& request) {
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\n";
  write_headers(out, request.headers);
  out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
  return out;
}

}  // namespace understudy::http
