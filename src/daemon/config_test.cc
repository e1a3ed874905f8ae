#include "daemon/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace understudy::daemon {
namespace {

TEST(Config, ReadsWhatIsGivenAndKeepsTheRest) {
  const auto config = parse_config(R"(
host_name = "host-a"
[management]
address = "10.0.0.1"
kerberos_keytab = "/etc/krb5.keytab"
[replication]
bandwidth = 1000000
[health]
script = "/usr/local/bin/told"
[replication.quotas]
"host-a" = 500000000000
"*" = 1
[hypervisor.networks]
lan = "lan2"
)",
                                   "test.toml");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->host_name, "host-a");
  EXPECT_EQ(config->management.port, 5986);
  EXPECT_EQ(config->management.kerberos_keytab, "/etc/krb5.keytab");
  EXPECT_EQ(config->management.kerberos_map, "/etc/understudy/kerberos.map");
  EXPECT_EQ(config->management.socket, "/run/understudy/wsman.sock");
  EXPECT_EQ(config->replication.bandwidth, 1000000u);
  EXPECT_EQ(config->health.script, "/usr/local/bin/told");
  EXPECT_EQ(config->health.script_seconds, 30u);
  EXPECT_EQ(config->hypervisor.networks.at("lan"), "lan2");
  EXPECT_EQ(config->replication.quotas,
            (std::map<std::string, uint64_t>{{"host-a", 500000000000}, {"*", 1}}));
}

TEST(Config, ErrorsNameFileLineAndWhatIsWanted) {
  const std::pair<const char*, const char*> cases[] = {
      {"host_nmae = \"x\"", "test.toml:1: host_nmae: no setting of this name"},
      {"\n[management]\nport = 70000", "test.toml:3: management.port: a whole number from 1 to 65535"},
      {"[management]\nport = \"x\"", "management.port"},
      {"log_json = 1", "log_json: true or false"},
      {"management = 3", "management: a table"},
      {"[replication]\naddress = \"\"", "replication.address"},
      {"[health]\nscript = \"told\"", "no absolute path"},
      {"[health]\nscript_seconds = 0", "health.script_seconds"},
      {"x = [", "test.toml:1"},
      {"gr\u00f6\u00dfe = 1", "test.toml:1"},
  };
  for (const auto& [text, wanted] : cases) {
    const auto config = parse_config(text, "test.toml");
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message(), testing::HasSubstr(wanted));
  }
}

}  // namespace
}  // namespace understudy::daemon
