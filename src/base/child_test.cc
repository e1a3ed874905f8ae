#include "base/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace understudy {
namespace {

struct Finished {
  std::optional<int> status;
  std::string said;
};
Finished shell(const std::string& script, Said where = Said::output, Duration most = Duration::seconds(60)) {
  Finished end;
  const auto status = run_program(
      {{"sh", "-c", script}}, where, [&](std::string_view more) { end.said += more; }, most);
  EXPECT_TRUE(status);
  end.status = status.value_or(std::nullopt);
  return end;
}

TEST(Child, SaysWhatItSaysAndHowItEnds) {
  const Finished good = shell("echo out; echo err >&2; cat");  // its input is empty
  EXPECT_TRUE(ended_well(good.status));
  EXPECT_EQ(good.said, "out\n");
  const Finished bad = shell("echo out; echo err >&2; exit 3", Said::errors);
  ASSERT_TRUE(bad.status);
  EXPECT_EQ(WEXITSTATUS(*bad.status), 3);
  EXPECT_FALSE(ended_well(bad.status));
  EXPECT_EQ(bad.said, "err\n");
  EXPECT_EQ(shell("head -c 1000000 /dev/zero").said.size(), 1'000'000u);
}

TEST(Child, OneThatDoesNotEndIsKilled) {
  const Finished end = shell("echo begun; exec tail -f /dev/null", Said::output, Duration::millis(300));
  EXPECT_FALSE(end.status);
  EXPECT_EQ(end.said, "begun\n");
}

// What it started holds the pipe: it is over when that is closed.
TEST(Child, GoesWithAllThatItStarted) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Program program{{"sh", "-c", "tail -f /dev/null & echo begun; wait"}};
  program.output = ends[1];
  program.group = Program::Group::own;
  const auto child = start_program(program);
  ASSERT_TRUE(child);
  close(ends[1]);
  char word[16];
  EXPECT_EQ(read(ends[0], word, sizeof word), 6);
  CancelToken stop;
  stop.cancel();
  EXPECT_FALSE(end_of(*child, program.group, Duration::seconds(60), stop));
  EXPECT_EQ(read(ends[0], word, sizeof word), 0) << "nobody holds it any more";
  close(ends[0]);
}

TEST(Child, HasNoDescriptorOfOursAndTheEnvironmentThatItIsGiven) {
  const int leaked = open("/dev/null", O_RDONLY);  // not closed by exec itself
  EXPECT_EQ(shell("ls /proc/self/fd | sort -n | tail -n 1").said, "3\n") << "that of ls itself";
  close(leaked);
  std::string said;
  Program program{{"/usr/bin/env"}};
  program.environment = {"ONLY=this"};
  EXPECT_TRUE(run_program(
      program, Said::output, [&](std::string_view more) { said += more; }, Duration::seconds(60)));
  EXPECT_EQ(said, "ONLY=this\n");
}

TEST(Child, OneThatIsNotThereIsNamed) {
  const auto child = start_program({{"/no/such/program"}});
  ASSERT_FALSE(child);
  EXPECT_NE(child.error().text().find("/no/such/program"), std::string::npos);
}

}  // namespace
}  // namespace understudy
