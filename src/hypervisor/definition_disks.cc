#include <algorithm>

#include "hypervisor/definition_parts.h"

namespace understudy::hypervisor {
namespace {

struct Reason {
  std::string_view child, text, way_out;
};
constexpr std::string_view kLeaveOut = "leave the disk out of the replication";
// What in a <disk> keeps it from being replicated.
constexpr Reason kReasons[] = {
    {"shareable", "is shared with other VMs", kLeaveOut},
    {"readonly", "is read-only", kLeaveOut},
    {"transient", "is transient", kLeaveOut},
    {"encryption", "is encrypted, and its backup would be plain text",
     "encrypt inside the guest instead, or leave the disk out"},
    {"source/encryption", "is encrypted, and its backup would be plain text",
     "encrypt inside the guest instead, or leave the disk out"},
    {"source/slices", "is a slice of a file", kLeaveOut},
    {"source/reservations", "uses persistent reservations", kLeaveOut},
    {"blockio", "has block sizes of its own", "remove <blockio>: virsh edit NAME"},
    {"geometry", "has a geometry of its own", "remove <geometry>: virsh edit NAME"},
    {"wwn", "has a WWN", "remove <wwn>: virsh edit NAME"},
    {"vendor", "has a vendor name", "remove <vendor>: virsh edit NAME"},
    {"product", "has a product name", "remove <product>: virsh edit NAME"},
};

std::string convert_way_out(const std::string& path) {
  return "convert it while the VM is off: qemu-img convert -O qcow2 " + path + " " + path +
         ".qcow2; then name that file and type='qcow2' in the definition: virsh edit NAME";
}

void judge(const Element& e, DiskSite& site) {
  const auto refuse_with = [&](std::string text, std::string_view way_out) {
    if (!site.refusal.empty()) return;
    site.refusal = std::move(text);
    site.way_out = way_out;
  };
  const std::string_view device = e.attribute("device");
  if (device == "lun") refuse_with("is a LUN passed through", kLeaveOut);
  if (device == "floppy") refuse_with("is a floppy", "remove it: virsh edit NAME");
  if (e.attribute("type") != "file") {
    refuse_with("is of type " + std::string(e.attribute("type")) + ", not a file",
                "convert it to a qcow2 file, or leave the disk out");
  }
  for (const Reason& reason : kReasons) {
    if (e.at(reason.child) != nullptr) refuse_with(std::string(reason.text), reason.way_out);
  }
  const std::string_view format = e.attribute_at("driver", "type");
  if (format != "qcow2")
    refuse_with("is " + std::string(format.empty() ? "raw" : format), convert_way_out(site.path));
  if (site.path.empty()) refuse_with("has no file", kLeaveOut);
  if (Status status = only(e, "type device snapshot",
                           "driver source backingStore mirror target serial address boot alias iotune");
      !status) {
    refuse_with(": " + status.error().message(), status.error().hint());
  }
  if (const Element* target = e.child("target")) {
    if (Status status = only(*target, "dev bus tray", ""); !status)
      refuse_with(": " + status.error().message(), status.error().hint());
  }
}

Result<VmDisk> model_of(const Element& e) {
  VmDisk disk;
  disk.target = e.attribute_at("target", "dev");
  disk.bus = e.attribute_at("target", "bus");
  disk.serial = e.text_at("serial");
  US_TRY(disk.address, read_address(e));
  US_TRY(disk.boot_order, read_boot_order(e));
  disk.discard = e.attribute_at("driver", "discard") == "unmap";
  disk.cache = e.attribute_at("driver", "cache");
  disk.io = e.attribute_at("driver", "io");
  disk.detect_zeroes = e.attribute_at("driver", "detect_zeroes");
  return disk;
}

}  // namespace

Status read_disk(const Element& e, VmDefinition& definition, std::vector<DiskSite>& sites) {
  const std::string target(e.attribute_at("target", "dev"));
  if (e.attribute("device") == "cdrom") {
    definition.cdroms.push_back(target + ":" + std::string(e.attribute_at("target", "bus")));
    return {};
  }
  DiskSite site;
  site.target = target;
  site.path = e.attribute_at("source", "file");
  judge(e, site);
  if (site.refusal.empty()) {
    US_TRY(VmDisk disk, model_of(e));
    definition.disks.push_back(std::move(disk));
  }
  sites.push_back(std::move(site));
  return {};
}

}  // namespace understudy::hypervisor
