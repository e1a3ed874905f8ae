#include <gmock/gmock.h>

#include "cli/commands_test.h"

namespace understudy::cli {
namespace {

using providers::kPrimary;
using providers::kReplica;
using testing::HasSubstr;

constexpr char kMac[] = "52:54:00:ab:cd:ef";
constexpr char kSecond[] = "52:54:00:ab:cd:01";

struct NetworkCommands : Commands {
  NetworkCommands() {
    host_.cards[kReplica] = {{kMac, "virtio", "lan", "", 0, true}, {kSecond, "virtio", "dmz", "", 0, true}};
    host_.cards[kPrimary] = {{kMac, "virtio", "lan", "", 0, true}};
    host_.verdict.job.reset();
  }
};

TEST_F(NetworkCommands, SetSaysWhatTheCardIsGiven) {
  ASSERT_EQ(understudy({"network", "set", "web", "--adapter", "2", "--address", "192.0.2.7/24,2001:db8::7/64",
                        "--gateway", "192.0.2.1", "--dns", "192.0.2.53,2001:db8::53"}),
            0)
      << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr(std::string(kSecond) + " is given 192.0.2.7/24, 2001:db8::7/64."));
  ASSERT_EQ(host_.network.size(), 1U);
  EXPECT_EQ(host_.network[0].mac, kSecond);
  EXPECT_EQ(host_.network[0].addresses[1].text(), "2001:db8::7/64");
  EXPECT_EQ(host_.network[0].gateways.size() + host_.network[0].name_servers.size(), 3U);
  ASSERT_EQ(understudy({"network", "set", "db", "--dhcp"}), 0) << "the only card";
  EXPECT_TRUE(host_.network[0].dhcp);
  EXPECT_THAT(out_.str(), HasSubstr("is given DHCP"));
  ASSERT_EQ(understudy({"network", "set", "web", "--adapter", "52:54:00:AB:CD:EF", "--clear"}), 0);
  EXPECT_TRUE(host_.network[0].empty());
  EXPECT_THAT(out_.str(), HasSubstr("is given nothing"));
}

TEST_F(NetworkCommands, WhatIsWrongIsNamedWithTheNextCommand) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--address", "192.0.2.7/24"}, "several network cards"},
      {{"--adapter", "3", "--dhcp"}, "no network card '3'"},
      {{"--adapter", "1"}, "one of --address, --dhcp and --clear"},
      {{"--adapter", "1", "--clear", "--dns", "192.0.2.53"}, "--clear excludes"},
      {{"--adapter", "1", "--address", "192.0.2.7"}, "192.0.2.7/24"},
      {{"--adapter", "1", "--address", "192.0.2.7/24", "--gateway", "198.51.100.1"}, "198.51.100.1"},
      {{"--adapter", "1", "--address", "192.0.2.7/24;reboot"}, "192.0.2.7/24;reboot"},
  };
  for (const auto& [options, named] : cases) {
    std::vector<std::string> words = {"network", "set", "web"};
    words.insert(words.end(), options.begin(), options.end());
    EXPECT_EQ(understudy(words), 2) << named;
    EXPECT_THAT(err_.str(), HasSubstr(named));
  }
  EXPECT_TRUE(host_.network.empty());
}

TEST_F(NetworkCommands, ShowSaysWhatIsSetAndWhetherTheGuestTookIt) {
  NicSettings settings;
  settings.mac = kSecond;
  settings.addresses = {*IpPrefix::parse("192.0.2.7/24")};
  settings.gateways = {*IpAddress::parse("192.0.2.1")};
  core::State& state = host_.views[2].state;
  state.network = {settings};
  ASSERT_EQ(understudy({"network", "show", "web"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("52:54:00:ab:cd:ef  as in the guest"));
  EXPECT_THAT(out_.str(), HasSubstr("52:54:00:ab:cd:01  192.0.2.7/24      192.0.2.1"));
  EXPECT_EQ(out_.str().find("guest has"), std::string::npos);

  state.phase = core::Phase::failed_over;
  state.failover.emplace().type = PointType::standard;
  ASSERT_EQ(understudy({"network", "show", "web"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("The guest has not taken them yet."));
  state.failover->network = core::NetworkResult{false, Error(ErrorCode::failed, "it refused"), {}};
  ASSERT_EQ(understudy({"network", "show", "web", "--json"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\"error\":\"it refused\""));
  EXPECT_THAT(out_.str(), HasSubstr("\"given\":false"));
  EXPECT_THAT(out_.str(), HasSubstr("\"MacAddress\":\"52:54:00:ab:cd:01\""));
  state.failover->network = core::NetworkResult{true, {}, {}};
  ASSERT_EQ(understudy({"network", "show", "web"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("The guest has taken them."));
}

}  // namespace
}  // namespace understudy::cli
