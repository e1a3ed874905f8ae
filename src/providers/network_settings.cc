// Msvm_FailoverNetworkAdapterSettingData as a caller gives it.
#include <algorithm>

#include "base/limits.h"
#include "providers/paths.h"
#include "providers/settings.h"

namespace understudy::providers {
namespace {

constexpr uint64_t kUnknown = 0, kIpv4 = 4096, kIpv6 = 4097, kBoth = 4098;  // ProtocolIFType

tl::unexpected<Error> invalid(const std::string& what, std::string hint = {}) {
  return fail(ErrorCode::invalid_parameter, what, std::move(hint));
}

// A list of the element; what is left out and what is empty are the same.
std::vector<std::string> texts_of(const cim::Instance& given, const char* property) {
  std::vector<std::string> texts;
  if (const auto* array = given.get(property).array())
    for (const cim::Value::Scalar& scalar : *array)
      if (const auto* text = std::get_if<std::string>(&scalar)) texts.push_back(*text);
  return texts;
}

Result<std::string> card_of(const cim::Instance& given, const VmView& view, const std::vector<VmNic>& cards) {
  const std::string wanted = given.get("InstanceID").text().value_or("");
  if (wanted.empty() && cards.size() == 1) return cards.front().mac;
  if (wanted.empty())
    return invalid("InstanceID is missing, and VM '" + view.vm.name + "' has " +
                       std::to_string(cards.size()) + " network cards",
                   "understudy network show " + view.vm.name);
  for (const VmNic& card : cards) {
    const std::string id = card_id(view.vm.id, card.mac);
    if (cim::same_name(wanted, failover_id(id)) || cim::same_name(wanted, id)) return card.mac;
  }
  return invalid(
      "InstanceID '" + wanted.substr(0, 128) + "' is of no network card of VM '" + view.vm.name + "'",
      "understudy network show " + view.vm.name);
}

Result<std::vector<IpPrefix>> prefixes_of(const cim::Instance& given) {
  const std::vector<std::string> addresses = texts_of(given, "IPAddresses");
  const std::vector<std::string> subnets = texts_of(given, "Subnets");
  if (addresses.size() != subnets.size())
    return invalid("Subnets has " + std::to_string(subnets.size()) + " elements and IPAddresses " +
                   std::to_string(addresses.size()) + ": one for each address is wanted");
  std::vector<IpPrefix> prefixes;
  for (size_t i = 0; i < addresses.size(); ++i) {
    const auto address = IpAddress::parse(addresses[i]);
    if (!address) return fail(address.error().context("IPAddresses"));
    if (!address->v6) {
      const auto length = length_of_mask(subnets[i]);
      if (!length) return fail(length.error().context("Subnets"));
      prefixes.push_back({*address, *length});
    } else {
      const auto prefix = IpPrefix::parse(addresses[i] + "/" + subnets[i]);
      if (!prefix) return fail(prefix.error().context("Subnets"));
      prefixes.push_back(*prefix);
    }
  }
  return prefixes;
}

Result<std::vector<IpAddress>> addresses_of(const cim::Instance& given, const char* property) {
  std::vector<IpAddress> addresses;
  for (const std::string& text : texts_of(given, property)) {
    const auto address = IpAddress::parse(text);
    if (!address) return fail(address.error().context(property));
    addresses.push_back(*address);
  }
  return addresses;
}

Status check_protocol(const cim::Instance& given, const NicSettings& settings) {
  const uint64_t protocol = given.get("ProtocolIFType").number().value_or(kUnknown);
  if (protocol == kUnknown || protocol == kBoth) return {};
  if (protocol != kIpv4 && protocol != kIpv6)
    return invalid("ProtocolIFType is " + std::to_string(protocol) +
                   ": 4096 (IPv4), 4097 (IPv6) and 4098 (both) are possible");
  const auto other = [&](const IpAddress& address) { return address.v6 != (protocol == kIpv6); };
  const auto refuse = [&](const IpAddress& address) {
    return invalid("'" + address.text() + "' is of another family than ProtocolIFType " +
                   std::to_string(protocol) + " says");
  };
  for (const IpPrefix& each : settings.addresses)
    if (other(each.address)) return refuse(each.address);
  for (const auto* list : {&settings.gateways, &settings.name_servers})
    for (const IpAddress& each : *list)
      if (other(each)) return refuse(each);
  if (settings.dhcp && protocol == kIpv6)
    return invalid("DHCPEnabled is TRUE, which is for IPv4, and ProtocolIFType is 4097 (IPv6)");
  return {};
}

Result<NicSettings> settings_of(const cim::Instance& given, const std::string& mac) {
  NicSettings settings;
  settings.mac = mac;
  const auto dhcp = given.get("DHCPEnabled").boolean();
  if (!dhcp) return invalid("DHCPEnabled is missing");
  if (!given.has("IPAddresses")) return invalid("IPAddresses is missing: leave it empty for none");
  settings.dhcp = *dhcp;
  US_TRY(settings.addresses, prefixes_of(given));
  US_TRY(settings.gateways, addresses_of(given, "DefaultGateways"));
  US_TRY(settings.name_servers, addresses_of(given, "DNSServers"));
  US_CHECK(check_protocol(given, settings));
  US_CHECK(check(settings));
  return settings;
}

}  // namespace

Result<std::vector<NicSettings>> network_settings_from(const std::vector<cim::Instance>& given,
                                                       const VmView& view, const std::vector<VmNic>& cards) {
  std::vector<NicSettings> all;
  for (const cim::Instance& element : given) {
    US_TRY(const std::string mac, card_of(element, view, cards));
    if (std::ranges::find(all, mac, &NicSettings::mac) != all.end())
      return invalid("NetworkSettings has two elements for network card " + mac);
    auto settings = settings_of(element, mac);
    if (!settings) return fail(settings.error().context("network card " + mac));
    all.push_back(std::move(*settings));
  }
  return all;
}

}  // namespace understudy::providers
