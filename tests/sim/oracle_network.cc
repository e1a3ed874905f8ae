// The network settings of a guest: what was accepted is kept, and given once to the guest of a failover.
#include "world.h"

namespace understudy::sim {
namespace {

constexpr Duration kNetworkMost = Duration::seconds(1200);

std::map<std::string, NicSettings> by_mac(const std::vector<NicSettings>& cards) {
  std::map<std::string, NicSettings> found;
  for (const NicSettings& card : cards) found[card.mac] = card;
  return found;
}

}  // namespace

Oracle::Cards Oracle::after(const Cards& cards, const core::NetworkCall& call) {
  Cards asked = by_mac(call.cards);
  Cards now;
  for (const std::string& mac : call.known) {
    const Cards& from = asked.contains(mac) ? asked : cards;
    if (const auto card = from.find(mac); card != from.end() && !card->second.empty()) now.insert(*card);
  }
  return now;
}

void Oracle::network_asked(int host, const core::NetworkCall& call) {
  wanted_[static_cast<size_t>(host)].asked.push_back(call);
}
void Oracle::network_answered(int host, bool accepted) {
  Wanted& wanted = wanted_[static_cast<size_t>(host)];
  if (accepted) wanted.cards = after(wanted.cards, wanted.asked.front());
  wanted.asked.pop_front();
}
// The daemon may have died between writing them down and saying so.
void Oracle::restarted(const Host& host) {
  Wanted& wanted = wanted_[static_cast<size_t>(host.index)];
  Cards perhaps = wanted.cards;
  for (const core::NetworkCall& asked : wanted.asked) {
    perhaps = after(perhaps, asked);
    if (by_mac(host.engine().network) == perhaps) wanted.cards = perhaps;
  }
  wanted.asked.clear();
}

void Oracle::gives_network(const std::vector<NicSettings>& cards) {
  const core::State& engine = world_.replica().engine();
  const auto& over = engine.failover;
  if (engine.phase != core::Phase::failed_over || !over || !over->network || !over->network->given) return;
  if (cards == engine.network) violate("a guest is given its network settings once", "again");
}

bool Oracle::guest_has_its_network() const {
  const core::State& engine = world_.replica().engine();
  if (engine.network.empty()) return true;
  return engine.failover && engine.failover->network && engine.failover->network->given;
}

void Oracle::check_network(const Host& host) {
  if (!host.up() || violation_) return;
  const core::State& engine = host.engine();
  Wanted& wanted = wanted_[static_cast<size_t>(host.index)];
  if (engine.phase == core::Phase::none) wanted.cards.clear();
  if (!(engine.network.empty() && wanted.cards.empty()) && by_mac(engine.network) != wanted.cards)
    violate("network settings are kept as they were accepted", host.name + " has others");
  if (host.index == 1) check_guest(host);
}

void Oracle::check_guest(const Host& host) {
  const core::State& engine = host.engine();
  const Vm& vm = host.hypervisor.vm;
  const Monotonic now = world_.fibers.now();
  const bool over = engine.phase == core::Phase::failed_over && !engine.network.empty();
  const bool known = engine.failover && engine.failover->network;
  if (!over || known || !host.hypervisor.runs() || now < vm.agent_comes) {
    unasked_since_.reset();
  } else if (!unasked_since_) {
    unasked_since_ = now;
  } else if (now - *unasked_since_ > kNetworkMost) {
    violate("a guest is given its network settings, or health says why not", "neither");
  }
  if (!over || !guest_has_its_network()) return;
  for (const NicSettings& card : engine.network)
    if (const auto found = vm.network.find(card.mac); found == vm.network.end() || found->second != card)
      violate("a guest that was given its network settings has exactly those", card.mac + " has others");
}

}  // namespace understudy::sim
