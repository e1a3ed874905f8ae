// The network settings of a VM: kept on either side, and given to the guest once after a failover to this
// host, when its agent answers. The failover stands whatever comes of it: job and health say what did not
// work.
#include "core/network.h"

#include <algorithm>

#include "core/rules.h"

namespace understudy::core::rules {
namespace {

bool runs(const State& s) {
  return s.failover && !s.failover->running_since.never();
}

void ask_guest(Step& step) {
  const ActionId id = step.run().network = step.new_action();
  step.act(GiveNetwork{id});
}

void note_failure(Step& step, const Error& error) {
  NetworkResult& result = step.state().failover->network.emplace();
  result.error = error;
  result.since = step.now.wall;
  step.end_job(JobType::give_network, tl::unexpected<Error>(error));
  step.persist();
}

// Those of cards that are gone go too.
std::vector<NicSettings> changed(const std::vector<NicSettings>& before, const NetworkCall& call) {
  std::vector<NicSettings> after;
  for (const std::string& mac : call.known) {
    auto card = std::ranges::find(call.cards, mac, &NicSettings::mac);
    if (card == call.cards.end()) {
      card = std::ranges::find(before, mac, &NicSettings::mac);
      if (card == before.end()) continue;
    }
    if (!card->empty() && after.size() < limits::kMostNics) after.push_back(*card);
  }
  return after;
}

}  // namespace

bool network_is_due(const Step& step) {
  const State& s = step.state();
  return s.phase == Phase::failed_over && s.failover && !s.network.empty() &&
         !(s.failover->network && s.failover->network->given);
}

void begin_network(Step& step) {
  const State& s = step.state();
  if (!network_is_due(step) || !runs(s)) return;
  if (step.running_job(JobType::give_network) == nullptr)
    step.begin_job(JobType::give_network, "Giving the guest of " + s.name + " its network settings");
  step.run().network_since = step.now.monotonic;
  step.persist();
  ask_guest(step);
}

void end_network(Step& step, const std::string& why) {
  step.run().network = 0;
  step.end_job(JobType::give_network, fail(ErrorCode::cancelled, why));
}

// Other settings than those that were given are due anew; so are those that could not be given.
void set_network(Step& step) {
  const auto& call = step.as<NetworkCall>();
  State& s = step.state();
  const std::vector<NicSettings> before = std::exchange(s.network, changed(s.network, call));
  const bool over = s.phase == Phase::failed_over && s.failover;
  if (over && s.network != before) s.failover->network.reset();
  if (over && call.facts.vm.power == VmPower::running) note_power(*s.failover, true, step.now.wall);
  if (!network_is_due(step)) end_network(step, "the network settings of '" + s.name + "' were taken back");
  step.persist();
  step.act(Reply{call.call, std::optional<Uuid>()});
  begin_network(step);
}

bool network_not_awaited(const Step& step) {
  return step.as<NetworkGiven>().id != step.run().network;
}
bool network_ok(const Step& step) {
  return step.as<NetworkGiven>().status.has_value();
}
bool guest_is_off(const Step& step) {
  return step.as<NetworkGiven>().status.error().code() == ErrorCode::invalid_state;
}
bool agent_is_silent(const Step& step) {
  const ErrorCode code = step.as<NetworkGiven>().status.error().code();
  return code == ErrorCode::not_available || code == ErrorCode::timeout;
}

void give_network(Step& step) {
  ask_guest(step);
}
// When it is not known to run, it was perhaps started while nobody listened: else the answer is that it is
// off.
void give_network_again(Step& step) {
  State& s = step.state();
  if (network_is_due(step) && runs(s)) return begin_network(step);
  if (step.running_job(JobType::give_network) != nullptr) {
    end_network(step, "the daemon was restarted while '" + s.name + "' was off");
    step.persist();
  }
  if (!network_is_due(step)) return;
  step.run().network_since = step.now.monotonic;
  ask_guest(step);
}

void network_given(Step& step) {
  step.run().network = 0;
  note_power(*step.state().failover, true, step.now.wall);
  step.state().failover->network = NetworkResult{true, {}, {}};
  step.end_job(JobType::give_network, {});
  step.persist();
}

void network_waits(Step& step) {
  note_power(*step.state().failover, false, step.now.wall);
  end_network(step, "'" + step.state().name +
                        "' was turned off before its guest took the network settings; they are given when it "
                        "is started again");
  step.persist();
}

// A guest that boots has no agent yet. After a while that is a failure, and it is still asked, less often.
void ask_agent_again(Step& step) {
  const bool late = step.now.monotonic - step.run().network_since >= limits::kAgentAppears;
  const std::optional<NetworkResult>& known = step.state().failover->network;
  if (late && !(known && known->error)) note_failure(step, step.as<NetworkGiven>().status.error());
  step.arm(late ? limits::kRetryMost : limits::kAgentAsked);
}

// Asked again when the VM is started again, or when the settings are given anew.
void network_refused(Step& step) {
  step.run().network = 0;
  note_failure(step, step.as<NetworkGiven>().status.error());
}

}  // namespace understudy::core::rules
