// Network cards, what their guests are given after a failover, and SetFailoverNetworkAdapterSettings.
#include <gmock/gmock.h>

#include "providers/instances.h"
#include "providers/paths.h"
#include "providers/providers_test.h"

namespace understudy::providers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr char kClass[] = "Msvm_FailoverNetworkAdapterSettingData";
constexpr char kMac[] = "52:54:00:ab:cd:ef";
constexpr char kSecond[] = "52:54:00:ab:cd:01";

struct Network : ProvidersTest {
  Network() {
    host_.cards[kReplica] = {{kMac, "virtio", "lan", "", 0, true}, {kSecond, "e1000e", "dmz", "", 0, true}};
    host_.cards[kPrimary] = {{kMac, "virtio", "lan", "", 0, true}};
    host_.verdict.job.reset();
  }
  // An element as a client writes it; PROPERTY.ARRAY for lists.
  static std::string element(std::initializer_list<std::pair<const char*, const char*>> scalars,
                             std::initializer_list<std::pair<const char*, std::vector<std::string>>> lists) {
    std::string text = std::string("<INSTANCE CLASSNAME=\"") + kClass + "\">";
    for (const auto& [name, value] : scalars)
      text += std::string("<PROPERTY NAME=\"") + name + "\"><VALUE>" + value + "</VALUE></PROPERTY>";
    for (const auto& [name, values] : lists) {
      text += std::string("<PROPERTY.ARRAY NAME=\"") + name + "\" TYPE=\"string\"><VALUE.ARRAY>";
      for (const std::string& value : values) text += "<VALUE>" + value + "</VALUE>";
      text += "</VALUE.ARRAY></PROPERTY.ARRAY>";
    }
    return text + "</INSTANCE>";
  }
  cim::InvokeResult set(const cim::Value& system, const std::vector<std::string>& elements) {
    return call("SetFailoverNetworkAdapterSettings",
                input({{"ComputerSystem", system}, {"NetworkSettings", array_of(elements)}}));
  }
  const cim::Value web_ = vm_path(kReplica), db_ = vm_path(kPrimary), nobody_ = vm_path(kOldPoint),
                   host_itself_ = system_path("hosta.example"), null_;
  const std::string card_ = failover_id(card_id(kReplica, kMac));
  const std::string second_ = failover_id(card_id(kReplica, kSecond));
};

TEST_F(Network, EveryCardHasItsFailoverSettingsSetOrNot) {
  NicSettings known;
  known.mac = kSecond;
  known.addresses = {*IpPrefix::parse("192.0.2.7/24"), *IpPrefix::parse("2001:db8::7/64")};
  known.gateways = {*IpAddress::parse("192.0.2.1")};
  known.name_servers = {*IpAddress::parse("2001:db8::53")};
  host_.views[2].state.network = {known};

  const auto ports =
      query("ASSOCIATORS OF {Msvm_VirtualSystemSettingData.InstanceID=\"" + settings_id(kReplica) +
            "\"} WHERE ResultClass = Msvm_SyntheticEthernetPortSettingData");
  ASSERT_EQ(ports.size(), 2U);
  EXPECT_EQ(ports[0].instance.get("Address").text(), "525400ABCDEF");
  const cim::Instance unset = associated(ports[0].path, kClass);
  EXPECT_EQ(unset.get("DHCPEnabled").boolean(), false);
  EXPECT_EQ(unset.get("ProtocolIFType").number(), 0U);
  EXPECT_TRUE(unset.get("IPAddresses").null());
  const cim::Instance given = associated(ports[1].path, kClass);
  EXPECT_EQ(given.get("InstanceID").text(), second_);
  EXPECT_EQ(given.get("ProtocolIFType").number(), 4098U);
  EXPECT_EQ(cim::format_embedded(given),
            cim::format_embedded(cim::Instance(kClass)
                                     .set("InstanceID", second_)
                                     .set("ElementName", "Failover Network Settings")
                                     .set("ProtocolIFType", 4098U)
                                     .set("DHCPEnabled", false)
                                     .set("IPAddresses", array_of({"192.0.2.7", "2001:db8::7"}))
                                     .set("Subnets", array_of({"255.255.255.0", "64"}))
                                     .set("DefaultGateways", array_of({"192.0.2.1"}))
                                     .set("DNSServers", array_of({"2001:db8::53"}))));
  // What was read can be sent back as it is.
  EXPECT_EQ(set(web_, {cim::format_embedded(given)}).return_value, 0U);
  EXPECT_THAT(host_.network, ElementsAre(known));
}

TEST_F(Network, LinksLeadToObjectsThatExist) {
  for (const char* link :
       {"Msvm_EthernetPortFailoverSettingDataComponent", "Msvm_VirtualSystemSettingDataComponent"})
    for (const cim::Item& item : enumerate(link))
      for (const auto& [name, value] : item.instance.properties())
        if (const auto end = value.path()) {
          EXPECT_TRUE(manager_.handle(kCaller, cim::GetRequest{*end})) << end->text();
        }
  EXPECT_EQ(enumerate("Msvm_EthernetPortFailoverSettingDataComponent").size(), 3U);
}

TEST_F(Network, SettingsOfSeveralCardsAreOneCall) {
  EXPECT_EQ(
      set(web_,
          {element({{"InstanceID", second_.c_str()}, {"DHCPEnabled", "true"}, {"ProtocolIFType", "4096"}},
                   {{"IPAddresses", {}}}),
           element({{"InstanceID", card_.c_str()}, {"DHCPEnabled", "FALSE"}},
                   {{"IPAddresses", {"192.0.2.7"}},
                    {"Subnets", {"255.255.255.0"}},
                    {"DefaultGateways", {"192.0.2.1", "192.0.2.2"}},
                    {"DNSServers", {"192.0.2.53"}}})})
          .return_value,
      0U);
  ASSERT_EQ(host_.network.size(), 2U);
  EXPECT_EQ(host_.network[0].mac, kSecond);
  EXPECT_TRUE(host_.network[0].dhcp);
  EXPECT_EQ(host_.network[1].gateways[1].text(), "192.0.2.2");
  EXPECT_EQ(host_.last_call, "network of " + kReplica.lower());
}

TEST_F(Network, WithoutIdTheOnlyCardIsMeant) {
  const std::string nameless = element({{"DHCPEnabled", "TRUE"}}, {{"IPAddresses", {}}});
  EXPECT_EQ(set(db_, {nameless}).return_value, 0U);
  EXPECT_EQ(host_.network.at(0).mac, kMac);
  EXPECT_EQ(set(web_, {nameless}).return_value, 32773U);
}

TEST_F(Network, WhatIsWrongIsNamed) {
  const auto with = [&](const char* property, std::vector<std::string> values) {
    return element(
        {{"InstanceID", card_.c_str()}, {"DHCPEnabled", "FALSE"}},
        {{"IPAddresses", {"192.0.2.7"}}, {"Subnets", {"255.255.255.0"}}, {property, std::move(values)}});
  };
  const auto addresses = [&](std::vector<std::string> list, std::vector<std::string> subnets,
                             const char* protocol = "0", const char* dhcp = "FALSE") {
    return element({{"InstanceID", card_.c_str()}, {"DHCPEnabled", dhcp}, {"ProtocolIFType", protocol}},
                   {{"IPAddresses", std::move(list)}, {"Subnets", std::move(subnets)}});
  };
  const std::string fine = with("DNSServers", {});
  const std::tuple<std::vector<std::string>, uint32_t, const char*> cases[] = {
      {{}, 32773, "empty"},
      {{fine, fine}, 32773, "two elements"},
      {{"no XML"}, 32773, "NetworkSettings"},
      {{"<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\"/>"}, 32776, "expected an instance of"},
      {{element({{"DHCPEnabled", "perhaps"}}, {})}, 32776, "DHCPEnabled"},
      {{element({{"InstanceID", card_.c_str()}}, {{"IPAddresses", {}}})}, 32773, "DHCPEnabled is missing"},
      {{element({{"InstanceID", card_.c_str()}, {"DHCPEnabled", "TRUE"}}, {})},
       32773,
       "IPAddresses is missing"},
      {{element({{"InstanceID", "Microsoft:X\\Y"}, {"DHCPEnabled", "TRUE"}}, {{"IPAddresses", {}}})},
       32773,
       "Microsoft:X"},
      {{with("DefaultGateways",
             {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"})},
       32773,
       "6 gateways"},
      {{with("DefaultGateways", {"198.51.100.1"})}, 32773, "198.51.100.1"},
      {{with("DNSServers", {"dns.example"})}, 32773, "dns.example"},
      {{addresses({"192.0.2.7"}, {})}, 32773, "Subnets has 0"},
      {{addresses({"192.0.2.7"}, {"24"})}, 32773, "'24'"},
      {{addresses({"192.0.2.7"}, {"255.0.255.0"})}, 32773, "255.0.255.0"},
      {{addresses({"2001:db8::7"}, {"129"})}, 32773, "2001:db8::7/129"},
      {{addresses({"$(reboot)"}, {"255.255.255.0"})}, 32773, "$(reboot)"},
      {{addresses({"192.0.2.7"}, {"255.255.255.0"}, "4097")}, 32773, "192.0.2.7"},
      {{addresses({"2001:db8::7"}, {"64"}, "4096")}, 32773, "2001:db8::7"},
      {{addresses({"192.0.2.7"}, {"255.255.255.0"}, "1")}, 32773, "ProtocolIFType"},
      {{addresses({}, {}, "4097", "TRUE")}, 32773, "DHCPEnabled"},
      {{addresses({"192.0.2.7"}, {"255.255.255.0"}, "0", "TRUE")}, 32773, "DHCP"},
  };
  for (const auto& [elements, code, named] : cases) {
    const cim::InvokeResult result = set(web_, elements);
    EXPECT_EQ(result.return_value, code) << named;
    ASSERT_TRUE(result.error) << named;
    EXPECT_THAT(result.error->message(), HasSubstr(named));
  }
  EXPECT_EQ(host_.last_call, "") << "nothing was asked of the host";
}

TEST_F(Network, ChecksComeInTheDocumentedOrder) {
  const std::string fine =
      element({{"InstanceID", card_.c_str()}, {"DHCPEnabled", "TRUE"}}, {{"IPAddresses", {}}});
  EXPECT_EQ(set(null_, {"<INSTANCE CLASSNAME=\"Msvm_Error\"/>"}).return_value, 32776U);
  EXPECT_EQ(set(null_, {fine}).return_value, 32773U);
  EXPECT_EQ(set(host_itself_, {fine}).return_value, 32770U);
  EXPECT_EQ(set(nobody_, {fine}).return_value, 32773U) << "no such VM";
  host_.verdict.error = Error(ErrorCode::in_use, "'Failover of web' is running");
  EXPECT_EQ(set(web_, {fine}).return_value, 32774U);
  host_.verdict.error = Error(ErrorCode::invalid_state, "it is not replicated");
  EXPECT_EQ(set(web_, {fine}).return_value, 32775U);
  host_.libvirt_is_down = true;
  EXPECT_EQ(set(web_, {fine}).return_value, 32777U);
}

}  // namespace
}  // namespace understudy::providers
