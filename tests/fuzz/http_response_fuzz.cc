// HTTP response, as the command reads it: whole or in pieces it comes to the same, and the body stays within
// its bound.
#include <algorithm>

#include "fuzz/fuzz.h"
#include "http/parser.h"

namespace understudy::http {
namespace {

constexpr size_t kMostBody = 2048;

struct Outcome {
  bool good = false;
  HttpResponse response;
};

Outcome read(std::string_view text, size_t step) {
  ResponseParser parser(kMostBody);
  size_t used = 0;
  size_t end = 0;
  while (!parser.complete()) {
    const auto took = parser.put(text.substr(used, end - used));
    if (!took) return {};
    used += *took;
    US_ASSERT(used <= end);
    if (*took != 0 && used < end) continue;
    if (end == text.size()) break;
    end = std::min(end + step, text.size());
  }
  if (!parser.end() || !parser.complete()) return {};
  (void)parser.keep_alive();
  return {true, parser.take()};
}

}  // namespace
}  // namespace understudy::http

US_FUZZER(http_response, input) {
  using namespace understudy::http;
  const Outcome whole = read(input, input.size());
  const Outcome pieces = read(input, 3);
  US_ASSERT(whole.good == pieces.good);
  if (!whole.good) return;
  US_ASSERT(whole.response.status == pieces.response.status && whole.response.body == pieces.response.body);
  US_ASSERT(whole.response.headers.size() == pieces.response.headers.size());
  US_ASSERT(whole.response.body.size() <= kMostBody);
}
