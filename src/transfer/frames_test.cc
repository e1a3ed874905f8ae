#include "transfer/frames.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "transfer/control.h"
#include "transfer/frame_io.h"
#include "transfer/receiver.h"
#include "transfer/wires_test.h"

namespace understudy::transfer {
namespace {

const Uuid kVm = *Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab");
const TransferKey kKey{{*Uuid::parse("00112233-4455-6677-8899-aabbccddeeff"), 1, 8}, 7, TransferKind::delta};
const uint64_t kTag = transfer_tag(kVm, kKey);

Bytes repeated(uint8_t value, size_t count) {
  return Bytes(count, static_cast<std::byte>(value));
}

Bytes data_frame(uint32_t disk, uint64_t offset, const Bytes& raw) {
  ExtentHead head{disk, Codec::none, offset, raw.size(), {}};
  head.check = extent_check(head, raw, kTag);
  Bytes frame(kHeaderSize + kExtentHeadSize);
  encode_extent(FrameType::extent_data, head, static_cast<uint32_t>(raw.size()), frame);
  frame.insert(frame.end(), raw.begin(), raw.end());
  return frame;
}
Bytes zero_frame(uint32_t disk, uint64_t offset, uint64_t length) {
  ExtentHead head{disk, Codec::none, offset, length, {}};
  head.check = extent_check(head, {}, kTag);
  Bytes frame(kHeaderSize + kExtentHeadSize);
  encode_extent(FrameType::extent_zero, head, 0, frame);
  return frame;
}
Bytes joined(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}
std::string hex(const Bytes& bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char pair[4];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned>(bytes[i]));
    text += pair;
    text += i % 16 == 15 || i + 1 == bytes.size() ? "\n" : " ";
  }
  return text;
}

// The frames of the worked example, by their label; "5a x 512" is that byte so many times.
std::map<std::string, Bytes> example_of_the_specification() {
  const auto file = std::filesystem::path(UNDERSTUDY_SOURCE) / "docs/spec/wire.md";
  std::ifstream in(file);
  EXPECT_TRUE(in) << file;
  std::map<std::string, Bytes> frames;
  std::string line;
  while (std::getline(in, line) && line != "## 9. A worked example") {
  }
  std::string label;
  while (std::getline(in, line)) {
    if (line.starts_with("    ")) {
      std::istringstream words(line);
      for (std::string word; words >> word;) {
        if (word == "x") {
          size_t count = 0;
          words >> count;
          frames[label].resize(frames[label].size() + count - 1, frames[label].back());
        } else {
          frames[label].push_back(static_cast<std::byte>(std::stoul(word, nullptr, 16)));
        }
      }
    } else if (line.ends_with(":")) {
      label = line.substr(0, line.find_first_of(" ,:"));
    }
  }
  return frames;
}

// Of the disk as it will be: zeroes, then 512 bytes of 5a. The secret is 00 01 02 .. bf.
HashesAnswer hashes_of_the_example() {
  HashesRequest request{kVm, kKey.lineage, 0, 0, 4608, 4096, {}};
  for (uint8_t i = 0; i < 192; ++i) request.secret.push_back(static_cast<std::byte>(i));
  const Images images{{0, joined({repeated(0, 4096), repeated(0x5a, 512)})}};
  ImageReader reader(images);
  return *hash_blocks(reader, reader.disks(), request);
}

TEST(Frames, AreThoseOfTheSpecificationsExample) {
  const std::string query = request_text(1, "query", to_json(QueryRequest{kVm}));
  const std::map<std::string, Bytes> made = {
      {"REQUEST", encode_frame(FrameType::request, as_bytes(query))},
      {"ANSWER", encode_frame(FrameType::answer, as_bytes(answer_text(1, to_json(hashes_of_the_example()))))},
      {"EXTENT_ZERO", zero_frame(0, 0, 4096)},
      {"EXTENT_DATA", data_frame(0, 4096, repeated(0x5a, 512))},
      {"PING", encode_frame(FrameType::ping, {})},
      {"APPLIED", encode_applied({512}, kTag)},
      {"END", encode_end({{0, 4608}, 512, 4096}, kTag)},
      {"CURSOR", encode_cursor({{0, 4608}, true, 512}, kTag)},
  };
  const auto written = example_of_the_specification();
  EXPECT_EQ(written.size(), made.size());
  for (const auto& [label, bytes] : made) {
    const auto found = written.find(label);
    EXPECT_EQ(found == written.end() ? "" : hex(found->second), hex(bytes)) << label;
  }
}

TEST(Frames, TheReceiverTakesTheExampleAndAnswersAsItSays) {
  auto example = example_of_the_specification();
  MemoryWire wire(joined({example["EXTENT_ZERO"], example["EXTENT_DATA"], example["PING"], example["END"]}));
  FakeSink sink({{0, repeated(0xff, 4608)}});
  const Status status = Receiver(wire, sink, kTag, 4096, {}).run();
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(hex(wire.written), hex(joined({example["APPLIED"], example["CURSOR"]})));
  EXPECT_EQ(sink.images[0], joined({repeated(0, 4096), repeated(0x5a, 512)}));
  EXPECT_EQ(sink.cursors, (std::vector<Cursor>{{0, 4608}}));
}

TEST(Frames, NoBitOfAHeaderMayChange) {
  const Bytes good = encode_frame(FrameType::answer, as_bytes("{}"));
  ASSERT_TRUE(decode_header(good));
  for (size_t bit = 0; bit < kHeaderSize * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(decode_header(bad)) << bit;
  }
  for (size_t n = 0; n < kHeaderSize; ++n) EXPECT_FALSE(decode_header(ByteView(good).first(n)));
}

// A header with a right check and whatever else.
Bytes header_of(uint8_t type, uint32_t flags, uint32_t length) {
  Bytes header = encode_frame(FrameType::ping, {});
  store_le<uint8_t>(header.data() + 3, type);
  store_le<uint32_t>(header.data() + 4, flags);
  store_le<uint32_t>(header.data() + 8, length);
  store_le<uint32_t>(header.data() + 12, header_check(header));
  return header;
}

TEST(Frames, BoundsTheLengthOfEachType) {
  struct Row {
    FrameType type;
    uint32_t least;
    uint32_t most;
  };
  const Row rows[] = {{FrameType::hello, 2, 16 << 10},  {FrameType::request, 2, 1 << 20},
                      {FrameType::answer, 2, 1 << 20},  {FrameType::error, 2, 1 << 20},
                      {FrameType::ping, 0, 0},          {FrameType::extent_data, 41, 40 + (1 << 20)},
                      {FrameType::extent_zero, 40, 40}, {FrameType::applied, 16, 16},
                      {FrameType::cursor, 32, 32},      {FrameType::end, 40, 40}};
  for (const Row& row : rows) {
    const auto type = static_cast<uint8_t>(row.type);
    EXPECT_TRUE(decode_header(header_of(type, 0, row.least))) << +type;
    EXPECT_TRUE(decode_header(header_of(type, 0, row.most))) << +type;
    EXPECT_FALSE(decode_header(header_of(type, 1, row.most))) << +type;
    if (row.least > 0) {
      EXPECT_FALSE(decode_header(header_of(type, 0, row.least - 1))) << +type;
    }
    const auto large = decode_header(header_of(type, 0, row.most + 1));
    ASSERT_FALSE(large) << +type;
    EXPECT_EQ(large.error().code(), ErrorCode::too_large);
    EXPECT_FALSE(decode_header(header_of(type, 0, UINT32_MAX)));
  }
  for (const int type : {0, 6, 15, 21, 255})
    EXPECT_FALSE(decode_header(header_of(static_cast<uint8_t>(type), 0, 40))) << type;
}

TEST(Frames, BoundsTheFieldsOfAnExtent) {
  const auto payload = [](uint32_t disk, uint32_t codec, uint64_t offset, uint64_t length, size_t stored) {
    ByteWriter writer;
    writer.le(disk);
    writer.le(codec);
    writer.le(offset);
    writer.le(length);
    writer.raw(Bytes(16 + stored));
    return writer.take();
  };
  const uint64_t most = limits::kMostDiskSize;
  const auto data = [&](auto... a) {
    return decode_extent(FrameType::extent_data, payload(a...)).has_value();
  };
  const auto zero = [&](auto... a) {
    return decode_extent(FrameType::extent_zero, payload(a...)).has_value();
  };
  EXPECT_TRUE(data(31u, 0u, most - 512, 512u, 512u));
  EXPECT_FALSE(data(32u, 0u, uint64_t{0}, 512u, 512u));
  EXPECT_FALSE(data(0u, 0u, most - 511, 512u, 512u));
  EXPECT_FALSE(data(0u, 0u, UINT64_MAX, 512u, 512u));
  EXPECT_FALSE(data(0u, 0u, uint64_t{0}, 512u, 511u));
  EXPECT_FALSE(data(0u, 0u, uint64_t{0}, 512u, 513u));
  EXPECT_TRUE(data(0u, 1u, uint64_t{0}, 512u, 511u));
  EXPECT_FALSE(data(0u, 1u, uint64_t{0}, 512u, 512u));
  EXPECT_FALSE(data(0u, 1u, uint64_t{0}, (1u << 20) + 1, 99u));
  EXPECT_FALSE(data(0u, 1u, uint64_t{0}, UINT64_MAX, 99u));
  EXPECT_FALSE(data(0u, 2u, uint64_t{0}, 512u, 511u));
  EXPECT_FALSE(data(0u, 0u, uint64_t{0}, 0u, 0u));
  EXPECT_TRUE(zero(0u, 0u, uint64_t{0}, most, 0u));
  EXPECT_FALSE(zero(0u, 0u, uint64_t{0}, most + 1, 0u));
  EXPECT_FALSE(zero(0u, 0u, uint64_t{512}, UINT64_MAX, 0u));
  EXPECT_FALSE(zero(0u, 1u, uint64_t{0}, 512u, 0u));
  EXPECT_FALSE(zero(0u, 0u, uint64_t{0}, 512u, 1u));
  EXPECT_TRUE(zero(0u, 0u, uint64_t{4096}, 0u, 0u));  // a mark
}

TEST(Frames, SmallOnesBelongToTheirTransfer) {
  const auto body = [](const Bytes& frame) { return ByteView(frame).subspan(kHeaderSize); };
  TransferKey other = kKey;
  other.lineage.generation = 2;
  const uint64_t tag = transfer_tag(kVm, other);
  EXPECT_TRUE(decode_applied(body(encode_applied({5}, kTag)), kTag));
  EXPECT_FALSE(decode_applied(body(encode_applied({5}, kTag)), tag));
  EXPECT_FALSE(decode_cursor(body(encode_cursor({{0, 1}, false, 5}, kTag)), tag));
  EXPECT_FALSE(decode_end(body(encode_end({{0, 1}, 5, 5}, kTag)), tag));
  EXPECT_FALSE(decode_cursor(body(encode_cursor({{99, 1}, false, 5}, kTag)), kTag));
  EXPECT_FALSE(decode_end(body(encode_end({{0, UINT64_MAX}, 5, 5}, kTag)), kTag));
}

}  // namespace
}  // namespace understudy::transfer
