// Frame of another host, the first byte its type, the rest its payload, as understudy-link makes it anew for
// the daemon: what comes out is within the bounds of its type, holds no compressed data, and comes out the
// same again.
#include "fuzz/fuzz.h"
#include "link/relay.h"
#include "transfer/frames.h"

US_FUZZER(relay, input) {
  using namespace understudy;
  using namespace understudy::transfer;
  const auto type = static_cast<FrameType>(fuzz::take_byte(input));
  const ByteView payload = as_bytes(input);
  if (!check_length(type, payload.size())) return;
  const auto anew = link::made_anew({type, Bytes(payload.begin(), payload.end())});
  if (!anew) return;
  US_ASSERT(anew->type == type && check_length(type, anew->payload.size()));
  if (type == FrameType::extent_data) US_ASSERT(decode_extent(type, anew->payload)->codec == Codec::none);
  const auto again = link::made_anew(*anew);
  US_ASSERT(again && again->payload == anew->payload);
}
