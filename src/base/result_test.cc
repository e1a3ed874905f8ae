#include "base/result.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"

namespace understudy {
namespace {

Result<int> half(int n) {
  if (n % 2) return fail(ErrorCode::invalid_parameter, "odd", "give an even number");
  return n / 2;
}
Result<int> quarter(int n) {
  US_TRY(const int h, half(n));
  return half(h);
}

TEST(Result, PassesValuesAndErrorsOn) {
  EXPECT_EQ(quarter(8), 2);
  ASSERT_FALSE(quarter(6));
  EXPECT_EQ(quarter(6).error().text(), "odd. Next: give an even number");
  EXPECT_EQ(quarter(6).error().context("vm1").message(), "vm1: odd");
}

TEST(Errors, TableIsFoundByNameAndCode) {
  EXPECT_EQ(error_info(ErrorCode::invalid_state).cim_return, 32775u);
  EXPECT_EQ(error_code_from_name("in_use"), ErrorCode::in_use);
  EXPECT_EQ(error_code_from_name("of a newer peer"), ErrorCode::failed);
}

TEST(Uuid, ReadsBothCasesAndRefusesTheRest) {
  const auto id = Uuid::parse("2F6c9a10-0000-4000-8000-0123456789ab");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->upper(), "2F6C9A10-0000-4000-8000-0123456789AB");
  EXPECT_EQ(Uuid::parse("{" + id->lower() + "}"), *id);
  for (const char* bad :
       {"", "2f6c9a10", "2f6c9a10-0000-4000-8000-0123456789ag", "2f6c9a10_0000-4000-8000-0123456789ab"})
    EXPECT_FALSE(Uuid::parse(bad)) << bad;
}

TEST(Time, RoundTripsAndKnowsOffsets) {
  const auto t = parse_iso_time("2026-11-22T18:19:08.25Z");
  ASSERT_TRUE(t);
  EXPECT_EQ(iso_time(*t), "2026-11-22T18:19:08.250000Z");
  EXPECT_EQ(parse_iso_time("2026-11-22T19:19:08.25+01:00"), *t);
  EXPECT_FALSE(parse_iso_time("2026-13-22T18:19:08Z"));
  EXPECT_FALSE(parse_iso_time("2026-11-22T18:19:08Zx"));
  EXPECT_EQ(age_text(Duration::seconds(3700)), "1 h 1 min");
}

TEST(ByteReader, TurnsBadInsteadOfReadingOn) {
  ByteWriter writer;
  writer.le<uint32_t>(7);
  writer.be<uint16_t>(0x1234);
  ByteReader reader(writer.bytes());
  EXPECT_EQ(reader.le<uint32_t>(), 7u);
  EXPECT_EQ(reader.be<uint16_t>(), 0x1234u);
  EXPECT_FALSE(reader.bad());
  EXPECT_EQ(reader.le<uint8_t>(), 0u);
  EXPECT_TRUE(reader.bad());
}

}  // namespace
}  // namespace understudy
