// The network cards of VMs, and the settings that their guests are given after a failover.
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

// ProtocolIFType.
constexpr unsigned kUnknown = 0, kIpv4 = 4096, kIpv6 = 4097, kBoth = 4098;

unsigned protocols(const NicSettings& settings) {
  bool v4 = settings.dhcp, v6 = false;
  for (const IpPrefix& each : settings.addresses) (each.address.v6 ? v6 : v4) = true;
  if (v4 && v6) return kBoth;
  if (v6) return kIpv6;
  return v4 ? kIpv4 : kUnknown;
}

template <class T>
cim::Value texts(const std::vector<T>& values) {
  std::vector<std::string> all;
  for (const T& value : values) all.push_back(value.text());
  return array_of(all);
}

cim::Instance failover_network(const std::string& card, const NicSettings& settings) {
  cim::Instance i = with_defaults("Msvm_FailoverNetworkAdapterSettingData");
  i.set("InstanceID", failover_id(card)).set("ElementName", "Failover Network Settings");
  std::vector<std::string> addresses, subnets;
  for (const IpPrefix& each : settings.addresses) {
    addresses.push_back(each.address.text());
    subnets.push_back(each.address.v6 ? std::to_string(each.length) : mask_of_length(each.length));
  }
  i.set("ProtocolIFType", protocols(settings)).set("DHCPEnabled", settings.dhcp);
  i.set("IPAddresses", array_of(addresses)).set("Subnets", array_of(subnets));
  i.set("DefaultGateways", texts(settings.gateways)).set("DNSServers", texts(settings.name_servers));
  return i;
}

}  // namespace

std::vector<VmNic> cards_of(Host& host, const VmView& view) {
  if (!view.listed) return {};
  auto cards = host.network_cards(view.vm.id);
  return cards ? std::move(*cards) : std::vector<VmNic>();
}

void network_cards(Host& host, const VmView& view, Instances& out) {
  for (const VmNic& card : cards_of(host, view)) {
    cim::Instance i = with_defaults("Msvm_SyntheticEthernetPortSettingData");
    const std::string id = card_id(view.vm.id, card.mac);
    i.set("InstanceID", id).set("ElementName", "Network Adapter");
    i.set("Address", id.substr(id.rfind('\\') + 1)).set("StaticMacAddress", true);
    i.set("VirtualSystemIdentifiers", array_of({view.vm.id.upper()}));
    out.push_back(std::move(i));
  }
}

void failover_networks(Host& host, const VmView& view, Instances& out) {
  for (const VmNic& card : cards_of(host, view)) {
    NicSettings settings;
    for (const NicSettings& known : view.state.network)
      if (known.mac == card.mac) settings = known;
    out.push_back(failover_network(card_id(view.vm.id, card.mac), settings));
  }
}

}  // namespace understudy::providers
