#include "cli/completion.h"

#include <gmock/gmock.h>

#include "cli/commands.h"

namespace understudy::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> completed(const std::vector<std::string>& words) {
  return complete(all_commands(), global_options(), words, [](std::string_view what) {
    return what == "VM" ? std::vector<std::string>{"web1", "db"}
                        : std::vector<std::string>{std::string(what)};
  });
}

TEST(Completion, Verbs) {
  EXPECT_THAT(completed({""}), testing::AllOf(Contains("failover"), Contains("job"), Not(Contains("web1"))));
  EXPECT_THAT(completed({"resy"}), ElementsAre("resync"));
  EXPECT_THAT(completed({"job", ""}), ElementsAre("cancel", "list", "show"));
  EXPECT_THAT(completed({"nonsense", ""}), IsEmpty());
}

TEST(Completion, OptionsAreThoseOfTheCommand) {
  EXPECT_THAT(completed({"failover", "--p"}), ElementsAre("--point", "--primary-is-running"));
  EXPECT_THAT(completed({"failover", "web1", "--js"}), ElementsAre("--json"));
  EXPECT_THAT(completed({"list", "--p"}), IsEmpty());
  EXPECT_THAT(completed({"user", "add", "--"}), ElementsAre("--file", "--role"));
}

TEST(Completion, Names) {
  EXPECT_THAT(completed({"failover", ""}), ElementsAre("db", "web1"));
  EXPECT_THAT(completed({"failover", "--yes", "w"}), ElementsAre("web1"));
  EXPECT_THAT(completed({"failover", "web1", ""}), IsEmpty());
  EXPECT_THAT(completed({"failover", "--from", ""}), ElementsAre("HOST"));
  EXPECT_THAT(completed({"failover", "--from", "a", "--al"}), ElementsAre("--all"));
  EXPECT_THAT(completed({"vm", "start", ""}), ElementsAre("db", "web1"));
  EXPECT_THAT(completed({"watch", ""}), ElementsAre("db", "web1"));
  EXPECT_THAT(completed({"job", "show", ""}), ElementsAre("ID"));
  EXPECT_THAT(completed({"store", "check", ""}), ElementsAre("%files"));
  EXPECT_THAT(completed({"report", "--out", "x"}), ElementsAre("%files"));
  EXPECT_THAT(completed({"user", "add", "ann", "--role", "op"}), ElementsAre("operator"));
  EXPECT_THAT(completed({"failover", "web1", "--at", ""}), IsEmpty());
}

}  // namespace
}  // namespace understudy::cli
