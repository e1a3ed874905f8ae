// UEFI firmware: what this host has, by QEMU's descriptors, as libvirt chooses from them; and what a VM's
// firmware has stored. The path of a loader never travels: a definition says only whether Secure Boot is
// there and whether keys are enrolled, and every host finds its own. For this folder only; any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "hypervisor/definition.h"
#include "hypervisor/element.h"

namespace understudy::hypervisor {

struct Firmware {
  std::string executable, nvram_template;
  bool secure_boot = false, enrolled_keys = false, requires_smm = false;
  std::vector<std::pair<std::string, std::string>> targets;  // architecture, pattern of machine types
};

// In libvirt's order of preference: a file of an earlier directory hides one of the same name in a later one,
// then by file name. What libvirt would not take is left out.
std::vector<Firmware> host_firmware(const std::vector<std::string>& directories);

// On the primary: sets the definition's flags as the firmware that the site names, or libvirt chooses, has
// them.
Status resolve_firmware(VmDefinition& definition, const FirmwareSite& site,
                        const std::vector<Firmware>& known);
// On the replica: is there firmware as the definition wants it, with NVRAM of that size (0: any)?
Status check_firmware(const VmDefinition& definition, const std::vector<Firmware>& known,
                      uint64_t nvram_size);

// The NVRAM file of a domain of the host; empty when its firmware has none. `folder` is where libvirt puts
// them.
std::string nvram_path(const Element& domain, const std::string& folder);
// Empty when there is no such file.
Result<Bytes> read_nvram(const std::string& path);

}  // namespace understudy::hypervisor
