// JSON of a control message or of a stored value, the first byte says of which type: an accepted one is
// written again, and reads as the same value.
#include "core/state.h"
#include "fuzz/fuzz.h"
#include "model/codec.h"
#include "transfer/control.h"

namespace {

using namespace understudy;
using namespace understudy::transfer;

template <class T>
void check(std::string_view text) {
  const auto value = decode<T>(text, limits::kMostControlPayload);
  if (!value) return;
  const std::string written = encode(*value);
  const auto again = decode<T>(written, limits::kMostControlPayload);
  US_ASSERT(again && encode(*again) == written);
}

void check_envelopes(std::string_view text) {
  const ByteView payload = as_bytes(text);
  if (const auto request = read_request(payload)) {
    const std::string written = request_text(request->id, request->method, request->params);
    const auto again = read_request(as_bytes(written));
    US_ASSERT(again && again->id == request->id && again->method == request->method);
    US_ASSERT(again->params.text() == request->params.text());
  }
  if (const auto answer = read_answer(payload)) {
    const auto again = read_answer(as_bytes(answer_text(answer->id, answer->result)));
    US_ASSERT(again && again->result.text() == answer->result.text());
  }
  if (const auto refusal = read_refusal(payload)) {
    const auto again = read_refusal(as_bytes(refusal_text(refusal->id, refusal->error)));
    US_ASSERT(again && again->error == refusal->error);
  }
}

void check_state(std::string_view text) {
  const auto state = core::decode_state(text);
  if (!state) return;
  const std::string written = core::encode_state(*state);
  const auto again = core::decode_state(written);
  US_ASSERT(again && core::encode_state(*again) == written);
}

constexpr void (*kChecks[])(std::string_view) = {
    check_envelopes,
    check<Hello>,
    check<PrepareRequest>,
    check<PrepareAnswer>,
    check<QueryRequest>,
    check<Holdings>,
    check<BeginRequest>,
    check<Cursor>,
    check<FinishRequest>,
    check<RecoveryPoint>,
    check<HashesRequest>,
    check<HashesAnswer>,
    check<VmRequest>,
    check<Error>,
    check<ServiceSettings>,
    check<AuthorizationEntry>,
    check<NicSettings>,
    check<Job>,
    check_state,
    check<ReplicationSettings>,
};

}  // namespace

US_FUZZER(message, input) {
  kChecks[static_cast<uint8_t>(fuzz::take_byte(input) - 'a') % std::size(kChecks)](input);
}
