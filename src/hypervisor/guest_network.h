// The network cards of a domain, and the settings that its guest is given: by its agent, which runs one
// script (guest_network.sh) for each card. For this folder only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hypervisor/agent.h"
#include "model/network.h"
#include "model/vm_definition.h"

namespace understudy::hypervisor {

// Those that have a MAC, in the order of the document; whatever else is in it.
Result<std::vector<VmNic>> read_network_cards(std::string_view domain_xml);

// How the script is run for one card: the settings are its arguments, a parsed value each. They have been
// checked.
GuestProgram network_program(const NicSettings& card);

// Errors: core::Hypervisor::give_network.
Status give_network(virDomain* domain, const std::vector<NicSettings>& cards, const CancelToken& cancel);

}  // namespace understudy::hypervisor
