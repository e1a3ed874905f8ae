// A byte that says which, then what an enrolment reads of others: a token that reads is written again the
// same word; a request gives a point or is refused; question and answer keep their bounds, and what reads is
// written again to the same bytes.
#include <algorithm>

#include "base/pack.h"
#include "enrol/messages.h"
#include "fuzz/fuzz.h"

namespace {

using namespace understudy;

class Given final : public net::Stream {
 public:
  explicit Given(ByteView bytes) : left_(bytes) {}
  Result<size_t> read(MutableByteView into, Duration) override {
    const size_t n = std::min(into.size(), left_.size());
    std::copy_n(left_.begin(), n, into.begin());
    left_ = left_.subspan(n);
    return n;
  }
  Status write_all(ByteView bytes, Duration) override {
    written.insert(written.end(), bytes.begin(), bytes.end());
    return {};
  }
  Status shutdown() override { return {}; }
  const std::string& peer() const override { return peer_; }
  size_t left() const { return left_.size(); }
  Bytes written;

 private:
  ByteView left_;
  const std::string peer_ = "fuzz";
};

void token(std::string_view input) {
  const auto read = enrol::parse_token(input);
  US_ASSERT(!read || enrol::parse_token(enrol::text_of(*read)) == read);
}

void request(std::string_view input) {
  const auto point = net::read_request(as_bytes(input));
  US_ASSERT(point || point.error().code() == ErrorCode::invalid_parameter);
  US_ASSERT(!point || (*point)[0] == std::byte{4});
}

void ask(std::string_view input) {
  Given stream(as_bytes(input));
  const auto asked = enrol::read_ask(stream);
  if (!asked) return;
  US_ASSERT(asked->request_size <= net::kMostRequest);
  const auto bytes = enrol::read_request_bytes(stream, *asked);
  if (!bytes) return;
  US_ASSERT(enrol::send_ask(stream, asked->secret, *bytes));
  US_ASSERT(as_text(stream.written) == input.substr(0, input.size() - stream.left()));
}

void reply(std::string_view input) {
  const auto whole = enrol::decode_reply(as_bytes(input));
  US_ASSERT(!whole || as_text(enrol::encode(*whole)) == input);
  Given stream(as_bytes(input));
  const auto streamed = enrol::read_reply(stream);
  US_ASSERT(!whole || (streamed && stream.left() == 0 && enrol::encode(*streamed) == enrol::encode(*whole)));
  if (!streamed) return;
  US_ASSERT(streamed->made.certificate.size() <= enrol::kMostCertificate &&
            streamed->made.authority.size() <= enrol::kMostCertificate);
  // What is no certificate for a key is told, and nothing else.
  net::PublicKey key{};
  std::copy_n(as_bytes(input).begin(), std::min(input.size(), key.size()), key.begin());
  US_ASSERT(!net::check_signed(streamed->made, key));
}

template <class T>
void one_form(std::string_view input) {
  const auto value = unpack<T>(as_bytes(input));
  US_ASSERT(!value || as_text(pack(*value)) == input);
}

}  // namespace

US_FUZZER(enrolment, input) {
  switch (fuzz::take_byte(input) % 6) {
    case 0:
      return token(input);
    case 1:
      return request(input);
    case 2:
      return ask(input);
    case 3:
      return reply(input);
    case 4:
      return one_form<enrol::Claim>(input);
    default:
      return one_form<Result<enrol::Outcome>>(input);
  }
}
