#include "transfer/frame_io.h"

#include "base/waiting.h"

namespace understudy::transfer {
namespace {

// Fills `into` but for what is `got` already.
Status fill(Wire& wire, MutableByteView into, size_t got) {
  while (got < into.size()) {
    const auto more = wire.read(into.subspan(got), limits::kLinkIdle);
    if (!more && more.error().code() == ErrorCode::timeout)
      return fail(ErrorCode::not_available, "the other side fell silent in the middle of a frame");
    if (!more) return fail(more.error());
    if (*more == 0)
      return fail(ErrorCode::not_available, "the other side closed the connection in the middle of a frame");
    got += *more;
  }
  return {};
}

}  // namespace

Result<Frame> read_frame(Wire& wire, Duration first) {
  std::array<std::byte, kHeaderSize> bytes;
  US_TRY(const size_t got, wire.read(bytes, first));
  if (got == 0) return fail(ErrorCode::not_available, "the other side closed the connection");
  US_CHECK(fill(wire, bytes, got));
  US_TRY(const FrameHeader header, decode_header(bytes));
  Frame frame{header.type, Bytes(header.length)};
  US_CHECK(fill(wire, frame.payload, 0));
  return frame;
}

Status write_frame(Wire& wire, FrameType type, ByteView payload, Duration timeout) {
  return wire.write(encode_frame(type, payload), timeout);
}

Status write_text(Wire& wire, FrameType type, std::string_view json, Duration timeout) {
  US_CHECK(check_length(type, json.size()));
  return write_frame(wire, type, as_bytes(json), timeout);
}

void part(Wire& wire) {
  const Monotonic until = waiting_now() + kDrain;
  if (!wire.shutdown()) return;
  Bytes dropped(64 << 10);
  for (uint64_t total = 0; total < kMostDrain;) {
    const Duration left = until - waiting_now();
    if (left.us <= 0) return;
    const auto got = wire.read(dropped, left);
    if (!got || *got == 0) return;
    total += *got;
  }
}

}  // namespace understudy::transfer
