// HTTP request: read whole or in pieces it comes to the same; head and body stay within their bounds; what
// was taken reads the same when it is written again.
#include <algorithm>

#include "fuzz/fuzz.h"
#include "http/parser.h"

namespace understudy::http {
namespace {

constexpr size_t kMostHead = 1024;
constexpr size_t kMostBody = 2048;

struct Outcome {
  int refusal = 0;
  bool complete = false;
  size_t used = 0;
  HttpRequest request;
};

// As the connection does it: what was not taken is given again, with more behind it.
Outcome read(std::string_view text, size_t step) {
  RequestParser parser(kMostHead, kMostBody);
  Outcome out;
  bool body = false;
  size_t end = 0;
  while (!parser.complete() && parser.refusal() == 0) {
    const size_t used = parser.put(text.substr(out.used, end - out.used));
    out.used += used;
    US_ASSERT(out.used <= end);
    if (parser.head_complete() && !body) {
      (void)parser.content_length();
      (void)parser.expects_continue();
      (void)parser.keep_alive();
      parser.take_body(kMostBody);
      body = true;
    } else if (used == 0 || out.used == end) {
      if (end == text.size()) break;
      end = std::min(end + step, text.size());
    }
  }
  out.refusal = parser.refusal();
  out.complete = parser.complete();
  if (out.complete) out.request = parser.take();
  return out;
}

bool same(const HttpRequest& a, const HttpRequest& b) {
  return a.method == b.method && a.target == b.target && a.body == b.body &&
         std::equal(a.headers.begin(), a.headers.end(), b.headers.begin(), b.headers.end(),
                    [](const Header& x, const Header& y) { return x.name == y.name && x.value == y.value; });
}

bool names_host(const Header& header) {
  return same_header(header.name, "Host");
}
bool of_the_frame(const Header& header) {
  return same_header(header.name, "Content-Length") || same_header(header.name, "Transfer-Encoding");
}

}  // namespace
}  // namespace understudy::http

US_FUZZER(http_request, input) {
  using namespace understudy::http;
  const Outcome whole = read(input, input.size());
  for (const size_t step : {1, 7}) {
    const Outcome pieces = read(input, step);
    // Some bytes around its bound, a head passes only when it comes at once.
    if (pieces.refusal == 431 && input.size() >= kMostHead) continue;
    // Of what is not complete yet, the fault may be seen now or later.
    US_ASSERT(pieces.complete == whole.complete && (pieces.refusal == 0 || whole.refusal != 0));
    US_ASSERT(!whole.complete || (pieces.used == whole.used && same(pieces.request, whole.request)));
  }
  US_ASSERT(whole.refusal == 0 || whole.refusal == 400 || whole.refusal == 413 || whole.refusal == 431 ||
            whole.refusal == 505);
  if (!whole.complete) return;
  US_ASSERT(whole.request.body.size() <= kMostBody && whole.used <= input.size());
  HttpRequest sent = whole.request;
  std::erase_if(sent.headers, of_the_frame);
  if (std::none_of(sent.headers.begin(), sent.headers.end(), names_host))
    sent.headers.push_back({"Host", "h"});  // of HTTP/1.0
  const std::string text = write_request(sent);
  if (text.size() - sent.body.size() > kMostHead) return;
  Outcome again = read(text, text.size());
  US_ASSERT(again.complete && again.used == text.size());
  std::erase_if(again.request.headers, of_the_frame);
  US_ASSERT(same(again.request, sent));
}
