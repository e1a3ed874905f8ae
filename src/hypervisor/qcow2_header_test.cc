#include "hypervisor/qcow2_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace understudy::hypervisor {
namespace {

using ::testing::HasSubstr;

Bytes image(uint32_t version, uint32_t cluster_bits, uint32_t crypt = 0, uint64_t incompatible = 0) {
  ByteWriter w;
  w.be<uint32_t>(0x514649fb);
  w.be(version);
  w.be<uint64_t>(0);
  w.be<uint32_t>(0);
  w.be(cluster_bits);
  w.be<uint64_t>(10 << 20);
  w.be(crypt);
  for (int i = 0; i < 9; ++i) w.be<uint32_t>(0);
  w.be(incompatible);
  return w.take();
}

TEST(ImageHeader, ReadsWhatMatters) {
  const auto header = parse_image_header(image(3, 16));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->version, 3u);
  EXPECT_EQ(header->size, 10u << 20);
  EXPECT_EQ(header->cluster_size, 65536u);
  EXPECT_TRUE(check_tracking(*header, "x"));
}

TEST(ImageHeader, KnowsTheGranularityOfChanges) {
  EXPECT_EQ(parse_image_header(image(3, 9))->change_granularity(), 4096u);
  EXPECT_EQ(parse_image_header(image(3, 12))->change_granularity(), 4096u);
  EXPECT_EQ(parse_image_header(image(3, 15))->change_granularity(), 32768u);
  EXPECT_EQ(parse_image_header(image(3, 21))->change_granularity(), 65536u);
}

TEST(ImageHeader, TellsTheWayOut) {
  const auto says = [](const Bytes& bytes) {
    return check_tracking(*parse_image_header(bytes), "/x.qcow2").error().text();
  };
  EXPECT_THAT(says(image(2, 16)), HasSubstr("qemu-img amend -o compat=1.1 /x.qcow2"));
  EXPECT_THAT(says(image(3, 16, 2)), HasSubstr("plain text"));
  EXPECT_THAT(says(image(3, 16, 0, 4)), HasSubstr("another file"));
}

TEST(ImageHeader, RefusesWhatIsNone) {
  const Bytes whole = image(3, 16);
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(parse_image_header(ByteView(whole).first(n))) << n;
  EXPECT_FALSE(parse_image_header(image(3, 8)));
  EXPECT_FALSE(parse_image_header(image(3, 22)));
  EXPECT_FALSE(parse_image_header(as_bytes("RAW disk with some text in it, long enough to hold a header")));
  EXPECT_FALSE(read_image_header("/nonexistent"));
}

}  // namespace
}  // namespace understudy::hypervisor
