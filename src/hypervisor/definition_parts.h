// What the files that read a definition share; not for others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hypervisor/definition.h"
#include "hypervisor/element.h"
#include "model/vm_definition.h"

namespace understudy::hypervisor {

// Refuses what the model cannot say. NAME in the way out becomes the VM's name.
tl::unexpected<Error> refuse(std::string what, std::string way_out = {});

// The element has no attribute and no child but those in the two lists of words; what is in them is either
// read or belongs to the site.
Status only(const Element& element, std::string_view attributes, std::string_view children);

bool has_word(std::string_view list, std::string_view word);
// Decimal, or hexadecimal after 0x. An empty text is `missing`.
Result<uint64_t> number(std::string_view text, uint64_t missing = 0);
Result<uint32_t> number32(std::string_view text, uint32_t missing = 0);
// The device's <address> in the model's spelling; empty when it has none.
Result<std::string> read_address(const Element& device);
Result<uint32_t> read_boot_order(const Element& device);

// All of <devices>, into definition.disks to definition.devices, and every disk into `sites`.
Status read_devices(const Element& devices, VmDefinition& definition, std::vector<DiskSite>& sites);
Status read_disk(const Element& disk, VmDefinition& definition, std::vector<DiskSite>& sites);
Status read_nic(const Element& nic, VmDefinition& definition);
Status read_controller(const Element& controller, VmDefinition& definition);

}  // namespace understudy::hypervisor
