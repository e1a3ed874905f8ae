#include "daemon/audit_trail.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/json.h"

namespace understudy::daemon {
namespace {

class FixedClock final : public Clock {
 public:
  Now now() const override { return {Monotonic{1}, Wall{1'795'371'548'000'000}}; }
};

class Trail : public testing::Test {
 protected:
  Trail() {
    char name[] = "/tmp/understudy-audit-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Trail() override { std::filesystem::remove_all(folder_); }
  std::string content() const {
    std::ifstream file(folder_ + "/audit.log");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string folder_;
  FixedClock clock_;
  const Uuid call_ = Uuid::random();
  const cim::Caller eve_{"eve", "basic", "192.0.2.9:77", "operator"};
};

TEST_F(Trail, SaysWhoWhatWhereAndWhatCameOfIt) {
  AuditTrail trail(folder_ + "/audit.log", clock_);
  cim::InvokeResult accepted{4096, cim::Instance(), std::nullopt, "the primary lives"};
  accepted.out.set("Job", cim::ObjectPath{"Msvm_ConcreteJob", {{"InstanceID", "7"}}});
  const std::vector<std::string> vm{"Msvm_ComputerSystem.Name=\"A\""};
  trail.note({call_, eve_, "Msvm_ReplicationService", "InitiateFailover", vm, nullptr});
  trail.note({call_, eve_, "Msvm_ReplicationService", "InitiateFailover", vm, &accepted});
  const cim::InvokeResult refused{32769, {}, Error(ErrorCode::access_denied, "a \"no\"\nline", "ask"), {}};
  trail.note({call_, eve_, "C", "M", {}, &refused});
  trail.note(
      {call_, eve_, "Msvm_ReplicationService", "GetReplicationStatistics", {}, &accepted});  // only tells

  std::istringstream lines(content());
  std::string before, one, two, none;
  ASSERT_TRUE(std::getline(lines, before) && std::getline(lines, one) && std::getline(lines, two));
  EXPECT_FALSE(std::getline(lines, none)) << none;
  const auto begins = JsonObject::parse(before);
  ASSERT_TRUE(begins) << before;
  EXPECT_EQ(begins->text("stage"), "begins");
  EXPECT_EQ(begins->text("call"), call_.lower());
  EXPECT_FALSE(begins->has("return"));
  EXPECT_EQ(one,
            R"({"call":")" + call_.lower() +
                R"(","caller":"eve","class":"Msvm_ReplicationService","from":"192.0.2.9:77",)"
                R"("job":"Msvm_ConcreteJob.InstanceID=\"7\"","login":"basic","method":"InitiateFailover",)"
                R"("objects":["Msvm_ComputerSystem.Name=\"A\""],"remark":"the primary lives","return":4096,)"
                R"("role":"operator","stage":"answered","time":")" +
                iso_time(clock_.now().wall) + R"("})");
  const auto read = JsonObject::parse(two);
  ASSERT_TRUE(read) << two;
  EXPECT_EQ(read->text("error"), "a \"no\"\nline. Next: ask");
  EXPECT_EQ(read->number("return"), 32769U);
}

TEST_F(Trail, IsAddedToAndMayBeMovedAway) {
  const cim::InvokeResult done{0, {}, std::nullopt, {}};
  { std::ofstream(folder_ + "/audit.log") << "before\n"; }
  AuditTrail trail(folder_ + "/audit.log", clock_);
  trail.note({call_, eve_, "C", "M", {}, &done});
  EXPECT_THAT(content(), testing::StartsWith("before\n{"));
  std::filesystem::rename(folder_ + "/audit.log", folder_ + "/audit.log.1");
  trail.note({call_, eve_, "C", "M", {}, &done});
  EXPECT_THAT(content(), testing::StartsWith("{"));
}

TEST_F(Trail, ADiskThatTakesNoMoreStopsNobody) {
  AuditTrail trail("/dev/full", clock_);
  const cim::InvokeResult done{0, {}, std::nullopt, {}};
  trail.note({call_, eve_, "C", "M", {}, &done});
}

}  // namespace
}  // namespace understudy::daemon
