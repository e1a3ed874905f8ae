// What the network cards of a VM's guest are given after a failover to this host.
#include "cim/embedded.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "model/network.h"

namespace understudy::cli {
namespace {

struct Card {
  cim::Instance port;      // Msvm_SyntheticEthernetPortSettingData
  cim::Instance settings;  // Msvm_FailoverNetworkAdapterSettingData
};

// 525400ABCDEF as people write it.
std::string mac_of(const Card& card) {
  const std::string digits = lower_case(cell(card.port, "Address"));
  std::string mac;
  for (size_t i = 0; i < digits.size(); ++i) mac += (i > 0 && i % 2 == 0 ? ":" : "") + digits.substr(i, 1);
  return mac;
}

Result<std::vector<Card>> cards_of(Session& session, const cim::Instance& status) {
  std::vector<Card> cards;
  US_TRY(const auto ports,
         session.host().enumerate("ASSOCIATORS OF {Msvm_VirtualSystemSettingData.InstanceID=\"Microsoft:" +
                                  cell(status, "VirtualSystemIdentifier") +
                                  "\"} WHERE ResultClass = Msvm_SyntheticEthernetPortSettingData"));
  for (const cim::Instance& port : ports) {
    US_TRY(const cim::Instance settings,
           only(session.host(),
                where("Msvm_FailoverNetworkAdapterSettingData", "InstanceID",
                      cell(port, "InstanceID") + "\\Failover"),
                "the failover settings of network card " + cell(port, "Address")));
    cards.push_back({port, settings});
  }
  return cards;
}

std::vector<std::string> list_of(const cim::Instance& instance, std::string_view property) {
  std::vector<std::string> texts;
  if (const auto* array = instance.get(property).array())
    for (const auto& scalar : *array)
      if (const auto* text = std::get_if<std::string>(&scalar)) texts.push_back(*text);
  return texts;
}

std::string joined_or_none(const std::vector<std::string>& texts) {
  return texts.empty() ? "-" : joined(texts);
}

std::string addresses_text(const cim::Instance& settings) {
  const auto addresses = list_of(settings, "IPAddresses"), subnets = list_of(settings, "Subnets");
  std::vector<std::string> all;
  if (settings.get("DHCPEnabled").boolean().value_or(false)) all.emplace_back("DHCP");
  for (size_t i = 0; i < addresses.size() && i < subnets.size(); ++i) {
    const auto length = length_of_mask(subnets[i]);
    all.push_back(addresses[i] + "/" + (length ? std::to_string(*length) : subnets[i]));
  }
  return all.empty() ? "as in the guest" : joined(all);
}

// Has the guest of a failed-over VM taken them?
std::string given_text(const cim::Instance& status) {
  const auto given = status.get("NetworkGiven").boolean();
  if (!given) return {};
  if (*given) return "The guest has taken them.";
  const std::string why = cell(status, "NetworkError");
  return why == "-" ? "The guest has not taken them yet." : "The guest has not taken them: " + why;
}

Result<Card> chosen_card(const std::vector<Card>& cards, const std::string& wanted, const std::string& vm) {
  if (wanted.empty() && cards.size() == 1) return cards.front();
  std::vector<std::string> macs;
  for (size_t i = 0; i < cards.size(); ++i) {
    macs.push_back(mac_of(cards[i]));
    if (lower_case(wanted) == macs.back() || wanted == std::to_string(i + 1)) return cards[i];
  }
  if (cards.empty()) return fail(ErrorCode::not_found, "VM '" + vm + "' has no network card here");
  return fail(ErrorCode::invalid_parameter,
              wanted.empty() ? "VM '" + vm + "' has several network cards: name one with --adapter"
                             : "VM '" + vm + "' has no network card '" + wanted + "'",
              "its cards are " + joined_or_none(macs) + "; understudy network show " + vm);
}

cim::Value array(const std::vector<std::string>& texts) {
  return cim::Value(std::vector<cim::Value::Scalar>(texts.begin(), texts.end()));
}

Result<std::vector<std::string>> list_option(const Arguments& arguments, std::string_view option) {
  if (!arguments.has(option)) return std::vector<std::string>();
  return comma_list(option, arguments.text(option));
}

Status check_options(const Arguments& arguments, const std::string& vm) {
  const bool clear = arguments.has("clear");
  const bool any = arguments.has("address") || arguments.has("dhcp");
  const bool more = arguments.has("gateway") || arguments.has("dns");
  if (clear && (any || more))
    return fail(ErrorCode::invalid_parameter, "--clear excludes what it would clear",
                "understudy network set " + vm + " --clear");
  if (!clear && !any)
    return fail(ErrorCode::invalid_parameter, "one of --address, --dhcp and --clear is needed",
                "understudy network set " + vm + " --address 192.0.2.7/24 --gateway 192.0.2.1");
  return {};
}

Result<cim::Instance> settings_from(const Arguments& arguments, const std::string& card) {
  std::vector<std::string> addresses, subnets;
  US_TRY(const auto prefixes, list_option(arguments, "address"));
  for (const std::string& text : prefixes) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) return fail(prefix.error().context("--address"));
    addresses.push_back(prefix->address.text());
    subnets.push_back(prefix->address.v6 ? std::to_string(prefix->length) : mask_of_length(prefix->length));
  }
  US_TRY(const auto gateways, list_option(arguments, "gateway"));
  US_TRY(const auto servers, list_option(arguments, "dns"));
  cim::Instance settings("Msvm_FailoverNetworkAdapterSettingData");
  settings.set("InstanceID", card).set("DHCPEnabled", arguments.has("dhcp"));
  settings.set("IPAddresses", array(addresses)).set("Subnets", array(subnets));
  settings.set("DefaultGateways", array(gateways)).set("DNSServers", array(servers));
  return settings;
}

}  // namespace

Status network_show(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  US_TRY(const std::vector<Card> cards, cards_of(session, status));
  Table table({"CARD", "MAC", "AFTER A FAILOVER", "GATEWAYS", "DNS"});
  std::vector<JsonObject> objects;
  for (size_t i = 0; i < cards.size(); ++i) {
    const Card& card = cards[i];
    table.add({std::to_string(i + 1), mac_of(card), addresses_text(card.settings),
               joined_or_none(list_of(card.settings, "DefaultGateways")),
               joined_or_none(list_of(card.settings, "DNSServers"))});
    JsonObject object = to_json(card.settings);
    object.set("MacAddress", mac_of(card));
    objects.push_back(std::move(object));
  }
  JsonObject object;
  object.set("adapters", objects);
  const std::string given = given_text(status);
  if (const auto taken = status.get("NetworkGiven").boolean()) object.set("given", *taken);
  if (const std::string why = cell(status, "NetworkError"); why != "-") object.set("error", why);
  session.print(
      (table.empty() ? "'" + printable(cell(status, "ElementName")) + "' has no network card here.\n"
                     : table.text()) +
          (given.empty() ? "" : printable(given) + "\n"),
      object);
  return {};
}

Status network_set(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  US_CHECK(check_options(arguments, name));
  US_TRY(const std::vector<Card> cards, cards_of(session, status));
  US_TRY(const Card card, chosen_card(cards, arguments.text("adapter"), name));
  US_TRY(const cim::Instance settings, settings_from(arguments, cell(card.settings, "InstanceID")));
  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status));
  in.set("NetworkSettings", array({cim::format_embedded(settings)}));
  const std::string what =
      arguments.has("clear") ? "is given nothing" : "is given " + addresses_text(settings);
  return run_method(session, service_path(), "SetFailoverNetworkAdapterSettings", in,
                    "After a failover of '" + name + "' to " + session.host().server() + " its card " +
                        mac_of(card) + " " + what + ".");
}

}  // namespace understudy::cli
