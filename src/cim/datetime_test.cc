#include "cim/datetime.h"

#include <gtest/gtest.h>

namespace understudy::cim {
namespace {

constexpr int64_t kInstant = 1'765'965'322'702'341;  // 2025-12-17T09:55:22.702341Z

TEST(DateTime, InstantsBothWays) {
  const DateTime t{false, kInstant};
  EXPECT_EQ(cim_datetime_text(t), "20251217095522.702341+000");
  EXPECT_EQ(xs_datetime_text(t), "2025-12-17T09:55:22.702341Z");
  EXPECT_EQ(parse_datetime(cim_datetime_text(t)), t);
  EXPECT_EQ(parse_datetime(xs_datetime_text(t)), t);
}

TEST(DateTime, IntervalsBothWays) {
  const DateTime t = DateTime::length(Duration::seconds(100));
  EXPECT_EQ(cim_datetime_text(t), "00000000000140.000000:000");
  EXPECT_EQ(xs_datetime_text(t), "P0DT0H1M40S");
  EXPECT_EQ(parse_datetime(cim_datetime_text(t)), t);
  EXPECT_EQ(parse_datetime(xs_datetime_text(t)), t);
  EXPECT_EQ(parse_datetime("PT18H30M")->us, (18 * 3600 + 30 * 60) * 1'000'000LL);
  EXPECT_EQ(parse_datetime("P0Y0M1DT0.25S")->us, 86'400'250'000LL);
}

TEST(DateTime, NeverIs1601) {
  EXPECT_EQ(xs_datetime_text(DateTime::at(Wall{})), "1601-01-01T00:00:00Z");
  EXPECT_EQ(cim_datetime_text(DateTime::at(Wall{})), "16010101000000.000000+000");
  EXPECT_EQ(DateTime::at(Wall{kInstant}).us, kInstant);
}

TEST(DateTime, OffsetsAreMinutesFromUtc) {
  EXPECT_EQ(parse_cim_datetime("20251217105522.702341+060")->us, kInstant);
  EXPECT_EQ(parse_cim_datetime("20251217045522.702341-300")->us, kInstant);
  EXPECT_EQ(parse_xs_datetime("2025-12-17T10:55:22.702341+01:00")->us, kInstant);
  EXPECT_EQ(parse_xs_datetime("2025-12-17T09:55:22.7023419")->us, kInstant);
}

TEST(DateTime, ADateOfZerosIsATimeOfDay) {
  const DateTime nine = DateTime::length(Duration::seconds(9 * 3600));
  EXPECT_EQ(parse_cim_datetime("00000000090000.000000+000"), nine);
  EXPECT_EQ(parse_cim_datetime("00000000090000.000000:000"), nine);
}

TEST(DateTime, TheEndsDoNotBreak) {
  EXPECT_EQ(xs_datetime_text({false, INT64_MIN}), "0001-01-01T00:00:00Z");
  EXPECT_EQ(xs_datetime_text({false, INT64_MAX}), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(cim_datetime_text({true, INT64_MAX}), "99999999235959.999999:000");
  EXPECT_EQ(cim_datetime_text({true, -5}), "00000000000000.000000:000");
  EXPECT_EQ(cim_datetime_text({false, -1}), "19691231235959.999999+000");
  EXPECT_EQ(parse_cim_datetime("99999999235959.999999:000")->us,
            99'999'999LL * 86'400'000'000 + 86'399'999'999);
}

TEST(DateTime, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "P",
                           "PT",
                           "P1Y",
                           "P1M",
                           "P1D1D",
                           "PT1H1D",
                           "P1",
                           "PT1.5H",
                           "PT1.S",
                           "-P1D",
                           "PT99999999999S",
                           "P9999999999W",
                           "20251217095522.702341",
                           "20251217095522.702341*000",
                           "20251317095522.702341+000",
                           "20250230095522.702341+000",
                           "20251217245522.702341+000",
                           "2025121709552a.702341+000",
                           "00000000240000.000000:000",
                           "00000000000000.000000:001",
                           "2025-12-17",
                           "2025-12-17T09:55",
                           "2025-12-17T09:55:22.",
                           "2025-12-17T09:55:22+1:00",
                           "2025-12-17T09:55:22ZZ",
                           "2025-02-29T00:00:00Z",
                           "2025-12-17 09:55:22",
                           "0000-01-01T00:00:00Z",
                           "********000000.000000+000"}) {
    const auto parsed = parse_datetime(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::wrong_type);
  }
}

}  // namespace
}  // namespace understudy::cim
