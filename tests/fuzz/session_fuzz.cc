// What a primary sends on the link, as records (type, length in two bytes, payload) whose checks are made to
// fit: the replica's end answers in whole frames, gives its store only ranges that follow each other, and
// ends.
#include "fuzz/fuzz.h"
#include "transfer/client.h"
#include "transfer/compression.h"
#include "transfer/control.h"
#include "transfer/session.h"
#include "transfer/wires_test.h"

namespace {

using namespace understudy;
using namespace understudy::transfer;

constexpr size_t kDisk = 256 << 10;

// The tag of the transfer that a request begins; as it was when it begins none.
uint64_t tag_after(ByteView request, uint64_t tag) {
  const auto read = read_request(request);
  const auto begin = read && read->method == "begin" ? from_json<BeginRequest>(read->params)
                                                     : fail(ErrorCode::protocol, "none");
  return begin ? transfer_tag(begin->vm, begin->key) : tag;
}

void fit_extent(FrameType type, Bytes& payload, uint64_t tag) {
  const auto head = decode_extent(type, payload);
  if (!head) return;
  ByteView raw = ByteView(payload).subspan(kExtentHeadSize);
  Bytes unpacked;
  if (head->codec == Codec::zstd) {
    unpacked.resize(head->length);
    if (!Decompressor().decompress(raw, unpacked)) return;
    raw = unpacked;
  }
  const auto check = extent_check(*head, raw, tag);
  std::copy(check.begin(), check.end(), payload.begin() + kExtentHeadSize - check.size());
}

Bytes end_frame(ByteView fields, uint64_t tag) {
  ByteReader in(fields);
  EndFrame frame;
  frame.cursor.disk = in.le<uint32_t>();
  frame.cursor.offset = in.le<uint64_t>();
  frame.data_bytes = in.le<uint64_t>();
  frame.zero_bytes = in.le<uint64_t>();
  return encode_end(frame, tag);
}

// As the types allow it: a payload of a length that no header may have is left as it is, without one.
Bytes frame_of(FrameType type, Bytes payload, uint64_t& tag) {
  if (type == FrameType::request) tag = tag_after(payload, tag);
  if (type == FrameType::extent_data || type == FrameType::extent_zero) fit_extent(type, payload, tag);
  if (type == FrameType::end) return end_frame(payload, tag);
  Bytes frame(kHeaderSize);
  store_le<uint16_t>(frame.data(), 0x5355);
  store_le<uint8_t>(frame.data() + 2, 1);
  store_le<uint8_t>(frame.data() + 3, static_cast<uint8_t>(type));
  store_le<uint32_t>(frame.data() + 8, static_cast<uint32_t>(payload.size()));
  store_le<uint32_t>(frame.data() + 12, header_check(frame));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

// Each of its calls must follow the one before.
class StrictSink final : public Sink {
 public:
  Status write(uint32_t disk, uint64_t offset, ByteView data) override {
    US_ASSERT(!data.empty() && data.size() <= limits::kMostExtentData);
    return zero(disk, offset, data.size());
  }
  Status zero(uint32_t disk, uint64_t offset, uint64_t length) override {
    US_ASSERT(length > 0 && !(Cursor{disk, offset} < at_));
    if (disk > 1 || offset > kDisk || length > kDisk - offset)
      return fail(ErrorCode::invalid_parameter, "beyond the end");
    at_ = {disk, offset + length};
    return {};
  }
  Status advance(Cursor cursor) override {
    US_ASSERT(!(cursor < at_));
    at_ = cursor;
    return {};
  }
  Status complete(Cursor end) override { return advance(end); }

 private:
  Cursor at_;
};

class Service final : public PeerService {
 public:
  Status admit(const PeerIdentity&) override { return {}; }
  Result<PrepareAnswer> prepare(const PeerIdentity&, const PrepareRequest& request) override {
    US_ASSERT(request.disks.size() <= limits::kMostDisks);
    return PrepareAnswer{"replica.example", {}};
  }
  Result<Holdings> query(const PeerIdentity&, const QueryRequest&) override { return Holdings(); }
  Result<Begun> begin(const PeerIdentity&, const BeginRequest&) override {
    return Begun{{}, std::make_shared<StrictSink>()};
  }
  Result<RecoveryPoint> finish(const PeerIdentity&, const FinishRequest& request) override {
    US_ASSERT(request.nvram.size() <= limits::kMostNvram);
    return RecoveryPoint();
  }
  Status remove(const PeerIdentity&, const Uuid&) override { return {}; }
  Result<HashesAnswer> hashes(const PeerIdentity&, const HashesRequest& request) override {
    static const Images images{{0, Bytes(kDisk)}, {1, dull_bytes(kDisk, 1)}};
    ImageReader reader(images);
    auto answer = hash_blocks(reader, reader.disks(), request);
    if (answer) US_ASSERT(check_runs(answer->runs, blocks_in(request.length, request.block)));
    return answer;
  }
};

}  // namespace

US_FUZZER(session, input) {
  Bytes stream;
  for (uint64_t tag = 0; !input.empty();) {
    const auto type = static_cast<FrameType>(fuzz::take_byte(input));
    const size_t length = fuzz::take_byte(input) | static_cast<size_t>(fuzz::take_byte(input)) << 8;
    const ByteView payload = as_bytes(input.substr(0, length));
    input.remove_prefix(payload.size());
    const Bytes frame = frame_of(type, Bytes(payload.begin(), payload.end()), tag);
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  MemoryWire wire(std::move(stream));
  Service service;
  (void)serve(wire, {"primary", {"primary"}, "", "192.0.2.1"}, test_hello("replica"), service, 64 << 10);
  MemoryWire said(std::move(wire.written));
  for (;;) {
    const auto frame = read_frame(said, limits::kLinkIdle);
    if (!frame) US_ASSERT(frame.error().code() == ErrorCode::not_available);
    if (!frame) return;
  }
}
