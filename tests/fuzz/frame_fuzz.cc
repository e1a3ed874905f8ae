// Frame of the link, the first byte its type, the rest its payload: what is decoded is within the bounds of
// any disk and encodes to the same bytes; a payload under another transfer's tag is refused.
#include <algorithm>

#include "fuzz/fuzz.h"
#include "transfer/frames.h"

namespace {

using namespace understudy;
using namespace understudy::transfer;

constexpr uint64_t kTag = 0x0123456789abcdef;

void check_place(uint32_t disk, uint64_t end) {
  US_ASSERT(disk < limits::kMostDisks && end <= limits::kMostDiskSize);
}

void check_header(ByteView bytes) {
  const auto header = decode_header(bytes);
  if (!header) return;
  US_ASSERT(header->length <= limits::kMostFramePayload);
  const Bytes frame = encode_frame(header->type, Bytes(header->length));
  US_ASSERT(std::equal(frame.begin(), frame.begin() + kHeaderSize, bytes.begin()));
}

void check_extent(FrameType type, ByteView payload) {
  const auto head = decode_extent(type, payload);
  if (!head) return;
  check_place(head->disk, head->end().offset);
  US_ASSERT(type != FrameType::extent_data || (head->length > 0 && head->length <= limits::kMostExtentData));
  Bytes again(kHeaderSize + kExtentHeadSize);
  encode_extent(type, *head, static_cast<uint32_t>(payload.size() - kExtentHeadSize), again);
  US_ASSERT(std::equal(again.begin() + kHeaderSize, again.end(), payload.begin()));
}

// `fields` are those of a frame without its check, which is made here.
template <class Frame, class Encode, class Decode>
void check_small(const Frame& frame, Encode encode, Decode decode) {
  const Bytes bytes = encode(frame, kTag);
  const ByteView payload = ByteView(bytes).subspan(kHeaderSize);
  const auto decoded = decode(payload, kTag);
  US_ASSERT(!decode(payload, kTag + 1));
  if (decoded) US_ASSERT(encode(*decoded, kTag) == bytes);
}

}  // namespace

US_FUZZER(frame, input) {
  check_header(as_bytes(input));
  const auto type = static_cast<FrameType>(fuzz::take_byte(input));
  const ByteView payload = as_bytes(input);
  ByteReader in(payload);
  (void)decode_applied(payload, kTag);
  (void)decode_cursor(payload, kTag);
  (void)decode_end(payload, kTag);
  if (type == FrameType::extent_data || type == FrameType::extent_zero) check_extent(type, payload);
  if (type == FrameType::applied)
    check_small(AppliedFrame{in.le<uint64_t>()}, encode_applied, decode_applied);
  if (type == FrameType::cursor) {
    CursorFrame frame;
    frame.cursor.disk = in.le<uint32_t>();
    frame.complete = in.le<uint32_t>() & 1;
    frame.cursor.offset = in.le<uint64_t>();
    frame.applied = in.le<uint64_t>();
    check_small(frame, encode_cursor, decode_cursor);
  }
  if (type == FrameType::end) {
    EndFrame frame;
    frame.cursor.disk = in.le<uint32_t>();
    frame.cursor.offset = in.le<uint64_t>();
    frame.data_bytes = in.le<uint64_t>();
    frame.zero_bytes = in.le<uint64_t>();
    check_small(frame, encode_end, decode_end);
  }
}
