#include "model/network.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "model/codec.h"

namespace understudy {
namespace {

NicSettings card(std::vector<std::string> addresses, std::vector<std::string> gateways = {},
                 std::vector<std::string> servers = {}) {
  NicSettings settings;
  settings.mac = "52:54:00:ab:cd:ef";
  for (const std::string& text : addresses) settings.addresses.push_back(*IpPrefix::parse(text));
  for (const std::string& text : gateways) settings.gateways.push_back(*IpAddress::parse(text));
  for (const std::string& text : servers) settings.name_servers.push_back(*IpAddress::parse(text));
  return settings;
}

TEST(Network, AddressesComeOutInOneForm) {
  const std::pair<const char*, const char*> cases[] = {{"192.0.2.7/24", "192.0.2.7/24"},
                                                       {"2001:DB8:0:0:0:0:0:7/64", "2001:db8::7/64"},
                                                       {"fe80::1/10", "fe80::1/10"},
                                                       {"10.0.0.1/32", "10.0.0.1/32"}};
  for (const auto& [given, text] : cases) {
    const auto prefix = IpPrefix::parse(given);
    ASSERT_TRUE(prefix) << given;
    EXPECT_EQ(prefix->text(), text);
  }
}

TEST(Network, NothingElseIsAnAddress) {
  const std::string cases[] = {"",
                               "192.0.2",
                               "192.0.2.7.1",
                               "192.0.2.256",
                               "0192.0.2.1",
                               "192.0.2.7 ",
                               "$(reboot)",
                               "::ffff:192.0.2.7",
                               "::ffff:c000:207",
                               "::c000:207",
                               "fe80::1%eth0",
                               "2001:db8:::1",
                               "1;reboot",
                               std::string("192.0.2.7\0", 10),
                               std::string(10'000, '1')};
  for (const std::string& text : cases) {
    const auto address = IpAddress::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code(), ErrorCode::invalid_parameter);
    EXPECT_LT(address.error().message().size(), 200U);
  }
  for (const char* text : {"192.0.2.7", "192.0.2.7/", "192.0.2.7/0", "192.0.2.7/33", "192.0.2.7/-1",
                           "192.0.2.7/24x", "2001:db8::7/129", "2001:db8::7/300", "/24", "192.0.2.7/24/24"})
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
}

TEST(Network, MasksAreWhole) {
  for (uint8_t length = 1; length <= 32; ++length)
    EXPECT_EQ(length_of_mask(mask_of_length(length)).value_or(0), length) << mask_of_length(length);
  EXPECT_EQ(mask_of_length(20), "255.255.240.0");
  for (const char* mask : {"0.0.0.0", "255.0.255.0", "255.255.255", "24", "0.0.0.255", "ffff::", ""})
    EXPECT_FALSE(length_of_mask(mask)) << mask;
}

TEST(Network, WhatFitsIsTaken) {
  NicSettings v6_beside_dhcp = card({"2001:db8::7/64"}, {"fe80::1"});
  v6_beside_dhcp.dhcp = true;
  NicSettings dhcp = card({}, {}, {"192.0.2.53"});
  dhcp.dhcp = true;
  const NicSettings cases[] = {card({}),
                               dhcp,
                               v6_beside_dhcp,
                               card({"192.0.2.6/31"}, {"192.0.2.7"}),
                               card({"192.0.2.7/32"}),
                               card({"192.0.2.7/24", "198.51.100.1/25", "2001:db8::7/64"},
                                    {"198.51.100.100", "2001:db8::1"}, {"2001:db8::53", "9.9.9.9"})};
  for (const NicSettings& settings : cases) {
    const Status fit = check(settings);
    EXPECT_TRUE(fit) << fit.error().message();
    const auto again = decode<NicSettings>(encode(settings));
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(*again, settings);
  }
}

TEST(Network, WhatDoesNotFitIsNamed) {
  NicSettings both = card({"192.0.2.7/24"});
  both.dhcp = true;
  NicSettings no_mac = card({"192.0.2.7/24"});
  no_mac.mac = "52:54:00:AB:CD:EF";
  NicSettings many_addresses = card({});
  for (size_t i = 0; i <= limits::kMostNicAddresses; ++i)
    many_addresses.addresses.push_back(*IpPrefix::parse("192.0.2." + std::to_string(i + 1) + "/24"));
  const std::pair<NicSettings, const char*> cases[] = {
      {both, "192.0.2.7/24"},
      {no_mac, "52:54:00:AB:CD:EF"},
      {many_addresses, "17 addresses"},
      {card({"192.0.2.7/24", "192.0.2.7/24"}), "stands twice"},
      {card({"192.0.2.0/24"}), "of a network"},
      {card({"192.0.2.255/24"}), "broadcast"},
      {card({"224.0.0.1/4"}), "224.0.0.1"},
      {card({"255.255.255.255/32"}), "255.255.255.255"},
      {card({"127.0.0.1/8"}), "127.0.0.1"},
      {card({"0.0.0.0/8"}), "0.0.0.0"},
      {card({"::1/128"}), "::1"},
      {card({"::/64"}), "'::'"},
      {card({"ff02::1/64"}), "ff02::1"},
      {card({"192.0.2.7/24"}, {"198.51.100.1"}), "198.51.100.1"},
      {card({"192.0.2.7/24"}, {"fe80::1"}), "fe80::1"},
      {card({"192.0.2.7/24"}, {"192.0.2.7"}), "own address"},
      {card({"192.0.2.7/24"}, {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"}),
       "6 gateways"},
      {card({}, {}, {"192.0.2.53"}), "without an address"},
      {card({"192.0.2.7/24"}, {}, {"0.0.0.0"}), "0.0.0.0"},
  };
  for (const auto& [settings, named] : cases) {
    const Status fit = check(settings);
    ASSERT_FALSE(fit) << named;
    EXPECT_EQ(fit.error().code(), ErrorCode::invalid_parameter);
    EXPECT_NE(fit.error().message().find(named), std::string::npos) << fit.error().message();
    EXPECT_FALSE(decode<NicSettings>(encode(settings))) << "what is stored is checked as well: " << named;
  }
}

}  // namespace
}  // namespace understudy
