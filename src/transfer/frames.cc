#include "transfer/frames.h"

#include <xxhash.h>

#include "base/assert.h"

namespace understudy::transfer {
namespace {

constexpr uint16_t kMagic = 0x5355;  // "US" in the order of the wire
constexpr uint8_t kFrameVersion = 1;

struct Bounds {
  uint32_t least = 0;
  uint32_t most = 0;
};
constexpr Bounds exactly(size_t size) {
  return {static_cast<uint32_t>(size), static_cast<uint32_t>(size)};
}

// False for a type that does not exist.
bool find_bounds(FrameType type, Bounds& bounds) {
  switch (type) {
    case FrameType::hello:
      bounds = {2, kMostHello};
      return true;
    case FrameType::request:
    case FrameType::answer:
    case FrameType::error:
      bounds = {2, limits::kMostControlPayload};
      return true;
    case FrameType::ping:
      bounds = exactly(0);
      return true;
    case FrameType::extent_data:
      bounds = {kExtentHeadSize + 1, static_cast<uint32_t>(kExtentHeadSize) + limits::kMostExtentData};
      return true;
    case FrameType::extent_zero:
      bounds = exactly(kExtentHeadSize);
      return true;
    case FrameType::applied:
      bounds = exactly(kAppliedSize);
      return true;
    case FrameType::cursor:
      bounds = exactly(kCursorSize);
      return true;
    case FrameType::end:
      bounds = exactly(kEndSize);
      return true;
  }
  return false;
}

std::string name_of(FrameType type) {
  return "a frame of type " + std::to_string(static_cast<unsigned>(type));
}

uint64_t hash64(ByteView bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

void put_header(FrameType type, uint32_t length, std::byte* into) {
  Bounds bounds;
  US_ASSERT(find_bounds(type, bounds) && length >= bounds.least && length <= bounds.most);
  store_le<uint16_t>(into, kMagic);
  store_le<uint8_t>(into + 2, kFrameVersion);
  store_le<uint8_t>(into + 3, static_cast<uint8_t>(type));
  store_le<uint32_t>(into + 4, 0);
  store_le<uint32_t>(into + 8, length);
  store_le<uint32_t>(into + 12, header_check({into, kHeaderSize}));
}

// The head of an extent without its check. The check covers it with codec 0: it is made before compression.
std::array<std::byte, 24> extent_place(const ExtentHead& head, Codec codec) {
  std::array<std::byte, 24> place;
  store_le<uint32_t>(place.data(), head.disk);
  store_le<uint32_t>(place.data() + 4, static_cast<uint32_t>(codec));
  store_le<uint64_t>(place.data() + 8, head.offset);
  store_le<uint64_t>(place.data() + 16, head.length);
  return place;
}

// The small binary frames end with the check of what stands before it.
Bytes checked_frame(FrameType type, ByteWriter fields, uint64_t tag) {
  fields.le<uint64_t>(hash64(fields.bytes(), tag));
  return encode_frame(type, fields.bytes());
}
Result<ByteReader> checked_payload(ByteView payload, size_t size, uint64_t tag) {
  if (payload.size() != size) return fail(ErrorCode::protocol, "a frame of the wrong length");
  const ByteView fields = payload.first(size - 8);
  if (load_le<uint64_t>(payload.data() + fields.size()) != hash64(fields, tag))
    return fail(ErrorCode::corrupt, "the check of a frame does not match, or it belongs to another transfer");
  return ByteReader(fields);
}
Status check_place(uint32_t disk, uint64_t offset, uint64_t length) {
  if (disk >= limits::kMostDisks)
    return fail(ErrorCode::protocol, "disk " + std::to_string(disk) + " does not exist");
  if (offset > limits::kMostDiskSize || length > limits::kMostDiskSize - offset)
    return fail(ErrorCode::protocol, "a range beyond the end of any disk");
  return {};
}

}  // namespace

uint32_t header_check(ByteView header) {
  return static_cast<uint32_t>(hash64(header.first(12), 0));
}

Result<FrameHeader> decode_header(ByteView bytes) {
  ByteReader reader(bytes);
  const auto magic = reader.le<uint16_t>();
  const auto version = reader.le<uint8_t>();
  const auto type = static_cast<FrameType>(reader.le<uint8_t>());
  const auto flags = reader.le<uint32_t>();
  const auto length = reader.le<uint32_t>();
  const auto check = reader.le<uint32_t>();
  if (reader.bad() || magic != kMagic || version != kFrameVersion)
    return fail(ErrorCode::protocol, "not a frame of the replication protocol, version 1");
  if (check != header_check(bytes))
    return fail(ErrorCode::protocol, "the check of a frame header does not match");
  US_CHECK(check_length(type, length));
  if (flags != 0) return fail(ErrorCode::protocol, name_of(type) + " with unknown flags");
  return FrameHeader{type, length};
}

Status check_length(FrameType type, size_t length) {
  Bounds bounds;
  if (!find_bounds(type, bounds)) return fail(ErrorCode::protocol, name_of(type) + ", which is not known");
  if (length < bounds.least) return fail(ErrorCode::protocol, name_of(type) + " is too short");
  if (length > bounds.most)
    return fail(ErrorCode::too_large, name_of(type) + " of " + std::to_string(length) + " bytes, at most " +
                                          std::to_string(bounds.most));
  return {};
}

Bytes encode_frame(FrameType type, ByteView payload) {
  Bytes frame(kHeaderSize + payload.size());
  put_header(type, static_cast<uint32_t>(payload.size()), frame.data());
  if (!payload.empty()) std::memcpy(frame.data() + kHeaderSize, payload.data(), payload.size());
  return frame;
}

uint64_t transfer_tag(const Uuid& vm, const TransferKey& key) {
  ByteWriter writer;
  writer.raw(std::as_bytes(std::span(vm.bytes())));
  writer.raw(std::as_bytes(std::span(key.lineage.set.bytes())));
  writer.le<uint64_t>(key.lineage.generation);
  writer.le<uint64_t>(key.lineage.sequence);
  writer.le<uint64_t>(key.from);
  writer.le<uint64_t>(static_cast<uint64_t>(key.kind));
  return hash64(writer.bytes(), 0);
}

std::array<std::byte, 16> extent_check(const ExtentHead& head, ByteView raw, uint64_t tag) {
  const auto place = extent_place(head, Codec::none);
  const XXH128_hash_t hash = XXH3_128bits_withSeed(raw.data(), raw.size(), hash64(place, tag));
  std::array<std::byte, 16> check;
  store_le<uint64_t>(check.data(), hash.low64);
  store_le<uint64_t>(check.data() + 8, hash.high64);
  return check;
}

void encode_extent(FrameType type, const ExtentHead& head, uint32_t stored, MutableByteView into) {
  US_ASSERT(into.size() >= kHeaderSize + kExtentHeadSize);
  put_header(type, static_cast<uint32_t>(kExtentHeadSize) + stored, into.data());
  const auto place = extent_place(head, head.codec);
  std::memcpy(into.data() + kHeaderSize, place.data(), place.size());
  std::memcpy(into.data() + kHeaderSize + place.size(), head.check.data(), head.check.size());
}

Result<ExtentHead> decode_extent(FrameType type, ByteView payload) {
  ByteReader reader(payload);
  ExtentHead head;
  head.disk = reader.le<uint32_t>();
  const auto codec = reader.le<uint32_t>();
  head.codec = static_cast<Codec>(codec);
  head.offset = reader.le<uint64_t>();
  head.length = reader.le<uint64_t>();
  const ByteView check = reader.take(head.check.size());
  if (reader.bad()) return fail(ErrorCode::protocol, "an extent that is too short");
  std::memcpy(head.check.data(), check.data(), check.size());
  US_CHECK(check_place(head.disk, head.offset, head.length));
  const uint64_t stored = reader.left();
  const bool data = type == FrameType::extent_data;
  if (data && (head.length == 0 || head.length > limits::kMostExtentData))
    return fail(ErrorCode::protocol, "an extent of " + std::to_string(head.length) + " bytes");
  if (codec > static_cast<uint32_t>(Codec::zstd) || (!data && codec != 0))
    return fail(ErrorCode::protocol, "an extent with the unknown codec " + std::to_string(codec));
  if (!data                       ? stored != 0
      : head.codec == Codec::none ? stored != head.length
                                  : stored == 0 || stored >= head.length)
    return fail(ErrorCode::protocol,
                "an extent of " + std::to_string(head.length) + " bytes stored in " + std::to_string(stored));
  return head;
}

Bytes encode_applied(const AppliedFrame& frame, uint64_t tag) {
  ByteWriter writer;
  writer.le<uint64_t>(frame.applied);
  return checked_frame(FrameType::applied, std::move(writer), tag);
}
Bytes encode_cursor(const CursorFrame& frame, uint64_t tag) {
  ByteWriter writer;
  writer.le<uint32_t>(frame.cursor.disk);
  writer.le<uint32_t>(frame.complete ? 1 : 0);
  writer.le<uint64_t>(frame.cursor.offset);
  writer.le<uint64_t>(frame.applied);
  return checked_frame(FrameType::cursor, std::move(writer), tag);
}
Bytes encode_end(const EndFrame& frame, uint64_t tag) {
  ByteWriter writer;
  writer.le<uint32_t>(frame.cursor.disk);
  writer.le<uint32_t>(0);
  writer.le<uint64_t>(frame.cursor.offset);
  writer.le<uint64_t>(frame.data_bytes);
  writer.le<uint64_t>(frame.zero_bytes);
  return checked_frame(FrameType::end, std::move(writer), tag);
}

Result<AppliedFrame> decode_applied(ByteView payload, uint64_t tag) {
  US_TRY(ByteReader reader, checked_payload(payload, kAppliedSize, tag));
  return AppliedFrame{reader.le<uint64_t>()};
}
Result<CursorFrame> decode_cursor(ByteView payload, uint64_t tag) {
  US_TRY(ByteReader reader, checked_payload(payload, kCursorSize, tag));
  CursorFrame frame;
  frame.cursor.disk = reader.le<uint32_t>();
  const auto complete = reader.le<uint32_t>();
  frame.complete = complete == 1;
  frame.cursor.offset = reader.le<uint64_t>();
  frame.applied = reader.le<uint64_t>();
  if (complete > 1) return fail(ErrorCode::protocol, "a cursor that is neither complete nor not");
  US_CHECK(check_place(frame.cursor.disk, frame.cursor.offset, 0));
  return frame;
}
Result<EndFrame> decode_end(ByteView payload, uint64_t tag) {
  US_TRY(ByteReader reader, checked_payload(payload, kEndSize, tag));
  EndFrame frame;
  frame.cursor.disk = reader.le<uint32_t>();
  const auto reserved = reader.le<uint32_t>();
  frame.cursor.offset = reader.le<uint64_t>();
  frame.data_bytes = reader.le<uint64_t>();
  frame.zero_bytes = reader.le<uint64_t>();
  if (reserved != 0) return fail(ErrorCode::protocol, "an END with unknown flags");
  US_CHECK(check_place(frame.cursor.disk, frame.cursor.offset, 0));
  return frame;
}

}  // namespace understudy::transfer
