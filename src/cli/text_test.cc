#include "cli/text.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <sstream>

#include "cli/console.h"
#include "cli/progress.h"

namespace understudy::cli {
namespace {

Monotonic at(int64_t millis) {
  return Monotonic{millis * 1000};
}

TEST(Text, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"VM", "ROLE"});
  EXPECT_TRUE(table.empty());
  table.add({"büro", "primary"});
  table.add({"database", "-"});
  EXPECT_EQ(table.text(),
            "VM        ROLE\n"
            "büro      primary\n"
            "database  -\n");
}

TEST(Text, FieldsWithoutValueAreLeftOut) {
  EXPECT_EQ(Fields().add("vm", "db").add("empty", "").add("null", "-").add("health", "ok").text(),
            "vm      db\nhealth  ok\n");
}

TEST(Text, NothingOfTheServerControlsTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2J\nb\x7f"), "a?[2J b?");
  Table table({"VM"});
  table.add({"\x1b]0;x\a"});
  EXPECT_EQ(table.text(), "VM\n?]0;x?\n");
}

TEST(Text, AmountsAreShort) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1024), "1.0 KiB");
  EXPECT_EQ(bytes_text(1536 << 10), "1.5 MiB");
  EXPECT_EQ(bytes_text((1ULL << 30) - 1), "1023.9 MiB");
  EXPECT_EQ(bytes_text(UINT64_MAX), "16777215 TiB");
}

TEST(Text, TimesAreUtcOrNever) {
  EXPECT_EQ(time_text(cim::DateTime::at(Wall{1'765'965'322'702'341})), "2025-12-17 09:55:22 UTC");
  EXPECT_EQ(time_text(cim::DateTime::at(Wall{})), "never");
  EXPECT_EQ(time_text(cim::Value()), "-");
}

TEST(Text, JsonCarriesWhatIsNotNull) {
  cim::Instance i("Msvm_Any");
  i.set("Number", 7U).set("Flag", true).set("Name", "a\"b").set("Null", cim::Value());
  i.set("When", cim::DateTime::at(Wall{1'765'965'322'000'000}));
  i.set("Took", cim::DateTime::length(Duration::seconds(90)));
  i.set("List", cim::Value(std::vector<cim::Value::Scalar>{std::string("x"), std::string("y")}));
  EXPECT_EQ(to_json(i).text(), R"({"Flag":true,"List":["x","y"],"Name":"a\"b","Number":7,"Took":90,)"
                               R"("When":"2025-12-17T09:55:22.000000Z"})");
}

TEST(Waiting, AnInterruptEndsTheWaitAndNotTheProgram) {
  SignalWaiter waiter;
  EXPECT_TRUE(waiter.wait(Duration{}));
  ASSERT_EQ(raise(SIGINT), 0);
  const Status waited = waiter.wait(Duration::seconds(60));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code(), ErrorCode::cancelled);
  EXPECT_TRUE(waiter.wait(Duration{}));
}

TEST(ProgressTest, ShortWorkShowsNothing) {
  std::ostringstream out;
  for (const bool draws : {true, false}) {
    Progress progress(out, draws, at(0));
    progress.show({"Copy", 10, 0, 0}, at(0));
    progress.show({"Copy", 90, 0, 0}, at(1999));
    progress.clear();
  }
  EXPECT_EQ(out.str(), "");
}

TEST(ProgressTest, ATerminalGetsABarInPlace) {
  std::ostringstream out;
  {
    Progress progress(out, true, at(0));
    progress.show({"First copy of db", 0, 0, 1200 << 20}, at(0));
    progress.show({"First copy of db", 25, 300 << 20, 1200 << 20}, at(10'000));
  }
  EXPECT_EQ(
      out.str(),
      "\r\033[K[######..................] First copy of db: 25 %, 300.0 MiB of 1.1 GiB, 29.9 MiB/s, 30 s left"
      "\r\033[K");
}

TEST(ProgressTest, ElsewhereALineNowAndThen) {
  std::ostringstream out;
  Progress progress(out, false, at(0));
  progress.show({"Copy", 1, 0, 0}, at(2000));
  progress.show({"Copy", 2, 0, 0}, at(4000));    // too soon
  progress.show({"Copy", 1, 0, 0}, at(12'500));  // says nothing new
  progress.show({"Copy", 9, 0, 0}, at(13'000));
  EXPECT_EQ(out.str(), "Copy: 1 %\nCopy: 9 %\n");
}

TEST(ProgressTest, ARateIsNotMadeUp) {
  std::ostringstream out;
  Progress progress(out, false, at(0));
  progress.show({"Copy", 50, 500, 1000}, at(2000));
  progress.show({"Copy", 20, 200, 1000}, at(20'000));  // began again
  EXPECT_EQ(out.str(), "Copy: 50 %, 500 B of 1000 B\nCopy: 20 %, 200 B of 1000 B\n");
}

}  // namespace
}  // namespace understudy::cli
