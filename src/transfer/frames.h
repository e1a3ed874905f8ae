// The frames of docs/spec/wire.md as functions on bytes. Nothing here waits or allocates more than its input;
// reading them from a connection is frame_io.h. Errors: `protocol` for what is malformed, `too_large` for a
// length, `corrupt` for a check that does not match. Any thread.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "model/disk.h"
#include "model/holdings.h"

namespace understudy::transfer {

enum class FrameType : uint8_t {
  hello = 1,
  request = 2,
  answer = 3,
  error = 4,
  ping = 5,
  extent_data = 16,
  extent_zero = 17,
  applied = 18,
  cursor = 19,
  end = 20,
};

inline constexpr size_t kHeaderSize = 16;
inline constexpr size_t kExtentHeadSize = 40;
inline constexpr size_t kAppliedSize = 16;
inline constexpr size_t kCursorSize = 32;
inline constexpr size_t kEndSize = 40;
inline constexpr uint32_t kMostHello = 16 << 10;

struct FrameHeader {
  FrameType type = FrameType::ping;
  uint32_t length = 0;  // of the payload, within the bounds of the type
};
// Of a header, over what stands before it. `header` has at least kHeaderSize.
uint32_t header_check(ByteView header);
Result<FrameHeader> decode_header(ByteView bytes);
// Of a payload: ErrorCode::too_large, or protocol when the type is not known or wants more.
Status check_length(FrameType type, size_t length);
// A whole frame. The payload's length is within the bounds of the type.
Bytes encode_frame(FrameType type, ByteView payload);

// Binds the frames of a transfer to what it is a transfer of.
uint64_t transfer_tag(const Uuid& vm, const TransferKey& key);

enum class Codec : uint32_t { none = 0, zstd = 1 };

struct ExtentHead {
  uint32_t disk = 0;
  Codec codec = Codec::none;
  uint64_t offset = 0;
  uint64_t length = 0;  // raw
  std::array<std::byte, 16> check{};
  Cursor start() const { return {disk, offset}; }
  Cursor end() const { return {disk, offset + length}; }
};
// Over the place and the raw bytes, whatever the codec; `raw` is empty for a zero extent.
std::array<std::byte, 16> extent_check(const ExtentHead& head, ByteView raw, uint64_t tag);
// Header and head of a frame whose stored bytes, `stored` of them, follow; written to the first kHeaderSize +
// kExtentHeadSize bytes of `into`.
void encode_extent(FrameType type, const ExtentHead& head, uint32_t stored, MutableByteView into);
// Bounds of one extent by itself. The check is not looked at: the raw bytes are not known here.
Result<ExtentHead> decode_extent(FrameType type, ByteView payload);

struct AppliedFrame {
  uint64_t applied = 0;
};
struct CursorFrame {
  Cursor cursor;
  bool complete = false;
  uint64_t applied = 0;
};
struct EndFrame {
  Cursor cursor;
  uint64_t data_bytes = 0;
  uint64_t zero_bytes = 0;
};
Bytes encode_applied(const AppliedFrame& frame, uint64_t tag);
Bytes encode_cursor(const CursorFrame& frame, uint64_t tag);
Bytes encode_end(const EndFrame& frame, uint64_t tag);
Result<AppliedFrame> decode_applied(ByteView payload, uint64_t tag);
Result<CursorFrame> decode_cursor(ByteView payload, uint64_t tag);
Result<EndFrame> decode_end(ByteView payload, uint64_t tag);

}  // namespace understudy::transfer
