// Between libvirt's domain XML and the part of a definition that travels (model/vm_definition.h). Reading is
// a white list: what the guest can see and the model cannot say is refused, naming the device and the way
// out; what belongs to the site (emulator, labels, pinning, tuning, host files) is left behind. Writing
// builds a new document from the model and nothing else. Pure functions, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/vm_definition.h"

namespace understudy::hypervisor {

inline constexpr std::string_view kNamespace = "urn:understudy:domain:1";

// One disk as this host has it, replicable or not.
struct DiskSite {
  std::string target;
  std::string path;     // of a file; empty when the source is none
  std::string refusal;  // why it cannot be replicated, as "is shareable"; empty when it can
  std::string way_out;
};

// The firmware of a UEFI VM as this host names it.
struct FirmwareSite {
  std::string loader, nvram_template;              // empty: libvirt chooses, by the next two
  std::optional<bool> secure_boot, enrolled_keys;  // none: as it comes
  bool secure_loader = false;
};

struct DomainReading {
  VmDefinition definition;      // disks: the replicable ones, their sizes still 0
  std::vector<DiskSite> disks;  // all but cdroms, in the order of the document
  FirmwareSite firmware;        // the definition's own flags are still false
};
Result<DomainReading> read_domain(std::string_view domain_xml);

// The disks alone, of any domain: what is refused elsewhere in it does not matter.
Result<std::vector<DiskSite>> read_disks(std::string_view domain_xml);

// Was this domain made by define_replica()?
bool is_replica_domain(std::string_view domain_xml);

// What this host adds to a definition.
struct ReplicaSite {
  std::vector<std::string> disk_paths;  // in the order of definition.disks
  std::map<std::string, std::string>
      networks;            // the primary's name -> a network here, or "bridge:NAME"; not in it: unplugged
  std::string nvram;       // file of a UEFI VM's NVRAM
  std::string serial_log;  // file that gets the output of the first serial port; empty = none
};
// The definition has been checked and has one path for each disk.
std::string write_domain(const VmDefinition& definition, const ReplicaSite& site);

}  // namespace understudy::hypervisor
