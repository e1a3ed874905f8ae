// The worked examples of docs/spec/store.md are what the code writes, byte for byte.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "store/machine_file.h"
#include "store/qcow2_image.h"
#include "store/records.h"
#include "store/store_test_support.h"

namespace understudy::store {
namespace {

// The fenced block after the heading "## Example: `title`".
std::string example(const std::string& title) {
  std::ifstream file(std::filesystem::path(UNDERSTUDY_SOURCE) / "docs/spec/store.md");
  std::ostringstream content;
  content << file.rdbuf();
  const std::string text = content.str(), fence = "```\n";
  const size_t heading = text.find("\n## Example: " + title + "\n");
  if (heading == std::string::npos) return "there is no example " + title;
  const size_t begin = text.find(fence, heading) + fence.size();
  return text.substr(begin, text.find(fence, begin) - begin);
}

const Uuid kSet = *Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");

ListedPoint point(uint64_t sequence, uint64_t from, const char* id, PointKeep keep) {
  ListedPoint listed;
  RecoveryPoint& p = listed.point;
  p.id = *Uuid::parse(id);
  p.lineage = {kSet, 1, sequence};
  p.keep = keep;
  p.cut = Wall{1'795'371'548'000'000} + Duration::seconds(static_cast<int64_t>(30 * sequence));
  p.received = p.cut + Duration::millis(1250);
  p.bytes = 4096 * sequence;
  listed.from = from;
  listed.machine = FileNumber{1, 11};
  return listed;
}

TEST(ExamplesOfTheSpecification, AManifest) {
  Manifest m;
  m.identity = {*Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab"),
                "web1",
                kSet,
                1,
                {{"vda", 1 << 20}},
                "host-a",
                "{}"};
  m.chain = {{{1, 11}, 4096}, {{1, 12}, 4096}};
  m.points = {point(11, 0, "aaaaaaaa-0000-4000-8000-000000000011", PointKeep::hourly),
              point(12, 11, "aaaaaaaa-0000-4000-8000-000000000012", PointKeep::no)};
  m.spent = 1;
  EXPECT_EQ(encode_manifest(m), example("a manifest"));
  const auto read = decode_manifest(example("a manifest"));
  ASSERT_OK(read);
  EXPECT_EQ(*read, m);
}

TEST(ExamplesOfTheSpecification, ACursor) {
  StagingRecord record;
  record.delta = StagedLayer{{{kSet, 1, 13}, 12, TransferKind::delta}, {0, 262144}, {{1, 13}, 4096}, 131072};
  EXPECT_EQ(encode_cursor(record), example("a cursor"));
  const auto read = decode_cursor(example("a cursor"));
  ASSERT_OK(read);
  EXPECT_EQ(*read, record);
}

TEST(ExamplesOfTheSpecification, AMachine) {
  const Machine machine{"{\"name\":\"web1\"}", {}};
  EXPECT_EQ(encode_machine(machine), example("a machine without firmware variables"));
}

// Lines of xxd: offset, 16 bytes, what people read. What is not shown is zero.
TEST(ExamplesOfTheSpecification, ATinyOverlay) {
  CrashFiles files;
  auto image = qcow2::Image::create(files, "/s/vda-1-12.qcow2",
                                    {1 << 20, 4096, "vda-1-11.qcow2", OpenMode::create_new});
  ASSERT_OK(image);
  Bytes data(4096);
  const std::string_view hello = "hello, replica";
  std::copy_n(as_bytes(hello).begin(), hello.size(), data.begin());
  ASSERT_OK((*image)->write(8192, data));
  ASSERT_OK((*image)->zero(12288, 4096));
  ASSERT_OK((*image)->seal());

  Bytes expected(24576);
  std::istringstream lines(example("a tiny overlay"));
  for (std::string line; std::getline(lines, line);) {
    const size_t at = std::stoul(line.substr(0, 8), nullptr, 16);
    for (size_t group = 0; group < 8; ++group)
      for (size_t byte = 0; byte < 2; ++byte)
        expected.at(at + 2 * group + byte) =
            static_cast<std::byte>(std::stoul(line.substr(10 + 5 * group + 2 * byte, 2), nullptr, 16));
  }
  const std::string image_text = files.content("/s/vda-1-12.qcow2");
  const ByteView written = as_bytes(image_text);
  ASSERT_EQ(written.size(), expected.size());
  for (size_t at = 0; at < written.size(); ++at) ASSERT_EQ(written[at], expected[at]) << std::hex << at;
}

}  // namespace
}  // namespace understudy::store
