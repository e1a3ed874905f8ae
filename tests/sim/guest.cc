// The guest and its agent, as far as network settings are concerned, and the hardware it runs on.
#include "world.h"

namespace understudy::sim {

// What it is given is written to its disks: on those of another failover there is nothing of it.
void SimHypervisor::begin_guest() {
  ++vm.starts;
  vm.agent_comes = world_.fibers.now() + (host_ == 0 ? Duration() : world_.faults.agent_comes());
  look_whose_disks_it_has();
}

// No failover begins or ends while it runs; but the manifest that tells may be damaged when it is started.
void SimHypervisor::look_whose_disks_it_has() {
  const auto held = world_.oracle.manifest();
  if (host_ == 0 || !held || !held->failover || held->failover->generation == vm.network_generation) return;
  vm.network.clear();
  vm.network_generation = held->failover->generation;
}

// One card after the other; the VM may stop, or be started again, between two of them.
Status SimHypervisor::give_network(const Uuid&, const std::vector<NicSettings>& cards,
                                   const CancelToken& cancel) {
  US_CHECK(begin("give_network", true));
  const std::optional<Error> late = late_error_;
  if (vm.power == core::VmPower::off) return fail(ErrorCode::invalid_state, "VM vm1 is off");
  const uint64_t start = vm.starts;
  look_whose_disks_it_has();
  world_.oracle.gives_network(cards);
  for (const NicSettings& card : cards) {
    if (!runs() || world_.fibers.now() < vm.agent_comes)
      return fail(ErrorCode::not_available, "no guest agent runs in VM vm1",
                  "install qemu-guest-agent in it");
    if (world_.faults.agent_refuses())
      return fail(ErrorCode::failed, "guest-exec has been disabled", "allow it in the guest's agent");
    world_.fibers.rest(Duration::millis(static_cast<int64_t>(world_.random.below(8000))));
    US_CHECK(cancel.check());
    if (world_.hosts[static_cast<size_t>(host_)]->dead)
      return fail(ErrorCode::not_available, "the process is dead");
    if (vm.starts != start || vm.power == core::VmPower::off)
      return fail(ErrorCode::not_available, "the guest agent went away");
    vm.network[card.mac] = card;
  }
  if (late) return fail(*late);
  return {};
}

// Somebody gives the VM more memory, and a second network card or takes it away.
void SimHypervisor::change_hardware() {
  VmDefinition& definition = vm.definition;
  definition.memory_kib += 1024;
  if (definition.nics.size() > 1)
    definition.nics.pop_back();
  else
    definition.nics.push_back({"52:54:00:00:00:02", "virtio", "lan", "", 0, true});
  world_.oracle.defined_as(definition);
}

}  // namespace understudy::sim
