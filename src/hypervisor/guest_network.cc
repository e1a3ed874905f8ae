#include "hypervisor/guest_network.h"

#include <algorithm>
#include <cctype>

#include "base/limits.h"
#include "base/log.h"
#include "hypervisor/element.h"

namespace understudy::hypervisor {
namespace {

constexpr char kScript[] =
#include "guest_network_script.inc"
    ;

constexpr int64_t kStillStarting = 75;  // of the script

// The last line, which says why.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return text.substr(0, 512);
}

Status give_card(virDomain* domain, const std::string& name, const NicSettings& card,
                 const CancelToken& cancel) {
  US_TRY(const GuestResult result,
         run_in_guest(domain, network_program(card), limits::kGuestNetwork, cancel));
  if (result.exit_code == kStillStarting)
    return fail(ErrorCode::not_available, "the guest of VM " + name + " is still starting",
                "look at what it waits for: virsh console " + name);
  if (result.exit_code != 0) {
    const std::string why = last_line(result.err);
    return fail(
        ErrorCode::failed,
        "the guest of VM " + name + " did not take the settings of its card " + card.mac + ": " +
            (why.empty() ? "exit code " + std::to_string(result.exit_code) : why),
        "set the addresses in the guest, or set others than those of: understudy network show " + name);
  }
  log_info("failover", "a guest was given its network settings",
           {{"vm", name}, {"card", card.mac}, {"by", last_line(result.out)}});
  return {};
}

}  // namespace

Result<std::vector<VmNic>> read_network_cards(std::string_view domain_xml) {
  US_TRY(const Element document, parse_xml(domain_xml));
  std::vector<VmNic> cards;
  const Element* devices = document.child("devices");
  if (devices == nullptr) return cards;
  for (const Element& e : devices->children) {
    VmNic nic;
    nic.mac = e.attribute_at("mac", "address");
    std::ranges::transform(nic.mac, nic.mac.begin(), [](unsigned char c) { return std::tolower(c); });
    if (e.name != "interface" || !is_mac(nic.mac)) continue;
    nic.model = e.attribute_at("model", "type");
    for (const char* source : {"network", "bridge", "dev"})
      if (nic.network.empty()) nic.network = e.attribute_at("source", source);
    cards.push_back(std::move(nic));
  }
  return cards;
}

GuestProgram network_program(const NicSettings& card) {
  GuestProgram program{"/bin/sh", {"-s", "--", card.mac}, kScript};
  if (card.dhcp) program.arguments.emplace_back("dhcp");
  for (const IpPrefix& each : card.addresses) program.arguments.push_back("address=" + each.text());
  for (const IpAddress& each : card.gateways) program.arguments.push_back("gateway=" + each.text());
  for (const IpAddress& each : card.name_servers) program.arguments.push_back("dns=" + each.text());
  return program;
}

Status give_network(virDomain* domain, const std::vector<NicSettings>& cards, const CancelToken& cancel) {
  const std::string name = name_of(domain);
  if (!is_active(domain)) return fail(ErrorCode::invalid_state, "VM " + name + " is off");
  US_TRY(const std::string live_xml, domain_xml(domain, 0));
  const Status agent = check_agent(name, domain, live_xml);
  if (!agent && agent.error().code() == ErrorCode::invalid_state)  // paused: it may be resumed
    return fail(ErrorCode::not_available, agent.error().message(), agent.error().hint());
  US_CHECK(agent);
  for (const NicSettings& card : cards) US_CHECK(give_card(domain, name, card, cancel));
  return {};
}

}  // namespace understudy::hypervisor
