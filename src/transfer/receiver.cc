#include "transfer/receiver.h"

#include "base/assert.h"
#include "transfer/control.h"

namespace understudy::transfer {
namespace {

Status gave_up(ByteView payload) {
  US_TRY(const Refusal refusal, read_refusal(payload));
  return fail(refusal.error.context("the primary gave up"));
}

}  // namespace

Receiver::Receiver(Wire& wire, Sink& sink, uint64_t tag, uint32_t granule, Cursor from, uint64_t cursor_every)
    : wire_(wire), sink_(sink), tag_(tag), granule_(granule), cursor_every_(cursor_every), at_(from) {
  US_ASSERT(granule >= 512);
}

Status Receiver::run() {
  while (true) {
    US_TRY(const Frame frame, read_frame(wire_, limits::kLinkIdle));
    switch (frame.type) {
      case FrameType::extent_data:
      case FrameType::extent_zero:
        US_CHECK(take_extent(frame));
        break;
      case FrameType::ping:
        US_CHECK(send_applied());
        break;
      case FrameType::end:
        return take_end(frame.payload);
      case FrameType::error:
        return gave_up(frame.payload);
      default:
        return fail(ErrorCode::protocol, "a frame of type " +
                                             std::to_string(static_cast<unsigned>(frame.type)) +
                                             " in the middle of a transfer");
    }
  }
}

Status Receiver::take_extent(const Frame& frame) {
  US_TRY(const ExtentHead head, decode_extent(frame.type, frame.payload));
  if (head.start() < at_) return fail(ErrorCode::protocol, "an extent out of order");
  if (head.offset % granule_ != 0)
    return fail(ErrorCode::protocol, "an extent that is not aligned to the granule");
  const bool zero = frame.type == FrameType::extent_zero;
  ByteView raw;
  if (!zero) {
    US_TRY(raw, raw_data(head, ByteView(frame.payload).subspan(kExtentHeadSize)));
  }
  if (extent_check(head, raw, tag_) != head.check)
    return fail(ErrorCode::corrupt, "disk " + std::to_string(head.disk) + " at " +
                                        std::to_string(head.offset) +
                                        ": the data does not match its checksum");
  const bool mark = head.length == 0;
  if (!mark)
    US_CHECK(zero ? sink_.zero(head.disk, head.offset, head.length)
                  : sink_.write(head.disk, head.offset, raw));
  at_ = head.end();
  (zero ? zero_bytes_ : data_bytes_) += head.length;
  since_applied_ += raw.size();
  since_cursor_ += mark ? cursor_every_ : zero ? kZeroWeight : head.length;
  if (since_applied_ >= kAppliedEvery) US_CHECK(send_applied());
  if (since_cursor_ >= cursor_every_) US_CHECK(send_cursor(false));
  return {};
}

Result<ByteView> Receiver::raw_data(const ExtentHead& head, ByteView stored) {
  if (head.codec == Codec::none) return stored;
  raw_.resize(head.length);
  US_CHECK(decompressor_.decompress(stored, raw_));
  return ByteView(raw_);
}

Status Receiver::take_end(ByteView payload) {
  US_TRY(const EndFrame end, decode_end(payload, tag_));
  if (end.cursor != at_ || end.data_bytes != data_bytes_ || end.zero_bytes != zero_bytes_)
    return fail(ErrorCode::corrupt, "the transfer ended with " + std::to_string(end.data_bytes) +
                                        " bytes sent and " + std::to_string(data_bytes_) + " received");
  return send_cursor(true);
}

Status Receiver::send_applied() {
  since_applied_ = 0;
  return wire_.write(encode_applied({data_bytes_}, tag_), limits::kLinkIdle);
}

Status Receiver::send_cursor(bool complete) {
  since_cursor_ = 0;
  US_CHECK(complete ? sink_.complete(at_) : sink_.advance(at_));
  return wire_.write(encode_cursor({at_, complete, data_bytes_}, tag_), limits::kLinkIdle);
}

}  // namespace understudy::transfer
