#include <gmock/gmock.h>

#include "cli/commands_test.h"

namespace understudy::cli {
namespace {

using providers::ago;
using providers::kJob;
using testing::HasSubstr;
using testing::Not;

class Watch : public Commands {
 protected:
  // What happens at each of the seconds watched; then Ctrl-C.
  int watch(std::vector<std::string> more, std::vector<std::function<void()>> seconds) {
    waiter_.waits = 0;
    waiter_.on_wait = [this, seconds = std::move(seconds)]() -> Status {
      const auto second = static_cast<size_t>(waiter_.waits) - 1;
      if (second >= seconds.size()) return fail(ErrorCode::cancelled, "interrupted");
      seconds[second]();
      return {};
    };
    more.insert(more.begin(), "watch");
    return understudy(more);
  }
  // Without the time that each begins with.
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::istringstream in(out_.str());
    for (std::string line; std::getline(in, line);) all.push_back(line.substr(line.find(' ') + 1));
    return all;
  }
};

TEST_F(Watch, ALineForEachChange) {
  EXPECT_EQ(watch({"web"},
                  {[] {},
                   [this] {
                     host_.views[2].points.back().cut = ago(2);
                     host_.views[2].state.times.last_cut = ago(2);
                   },
                   [this] {
                     host_.views[2].health = {ReplicationHealth::critical, "disk full", "free some", ago(1)};
                   },
                   [] {}, [this] { host_.views.pop_back(); }}),
            0);
  EXPECT_THAT(lines(), testing::ElementsAre(
                           "web: replica, replicating, health ok, newest point cut 2025-12-17 09:55:08 UTC",
                           "web: replica, replicating, health ok, newest point cut 2025-12-17 09:55:20 UTC",
                           "web: replica, replicating, health critical (disk full), newest point cut "
                           "2025-12-17 09:55:20 UTC",
                           "web: is gone"));
}

TEST_F(Watch, ProgressOfAJobInTensOfPercent) {
  std::vector<std::function<void()>> seconds;
  for (uint64_t bytes = 300; bytes < 480; bytes += 12)
    seconds.emplace_back([this, bytes] { job(kJob).bytes_done = bytes; });
  seconds.emplace_back([this] { job(kJob).state = JobState::completed; });
  EXPECT_EQ(watch({"db"}, seconds), 0);
  const auto all = lines();
  ASSERT_EQ(all.size(), 3U) << out_.str();
  EXPECT_THAT(all[0], HasSubstr("; First copy of db, 20 %"));
  EXPECT_THAT(all[1], HasSubstr("; First copy of db, 30 %"));
  EXPECT_THAT(all[2], Not(HasSubstr("First copy of db")));
}

TEST_F(Watch, OutlivesARestartOfTheDaemon) {
  const auto down = [this] { host_.libvirt_is_down = true; };
  EXPECT_EQ(watch({"--json"}, {down, down, [this] { host_.libvirt_is_down = false; }}), 0);
  std::istringstream in(out_.str());
  size_t errors = 0;
  size_t statuses = 0;
  for (std::string line; std::getline(in, line);) {
    const auto object = JsonObject::parse(line);
    ASSERT_TRUE(object) << line;
    errors += object->has("error") ? 1 : 0;
    statuses += object->has("status") ? 1 : 0;
  }
  EXPECT_EQ(errors, 1U);
  EXPECT_EQ(statuses, 6U);
  host_.libvirt_is_down = true;
  EXPECT_EQ(watch({}, {}), 6);  // nobody there from the beginning
  host_.libvirt_is_down = false;
  EXPECT_EQ(watch({"nope"}, {}), 4);
}

TEST_F(Watch, OnATerminalTheViewIsDrawnAnew) {
  redraws_ = true;
  EXPECT_EQ(watch({}, {[] {}}), 0);
  const std::string text = out_.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\033'), 4);
  EXPECT_THAT(text, HasSubstr("web    replica  replicating      ok       14 s          hostc.example\n"));
  EXPECT_THAT(text, HasSubstr("First copy of db, 25 %, 300 B of 1.1 KiB\n"));
}

}  // namespace
}  // namespace understudy::cli
