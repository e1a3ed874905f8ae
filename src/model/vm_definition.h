// The part of a VM's definition that travels: what the guest can see, as a bounded model that is filled from
// a white list and nothing else (docs/ARCHITECTURE.md, "Definitions"). The replica builds its own domain XML
// from this model; no text of the sender reaches libvirt. Site parts (emulator path, host files, security
// labels, pinning) are not in it. Values are checked by `check()` on both sides: on the primary when
// replication is enabled, on the replica because a sender may be anybody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace understudy {

// Addresses, where the guest finds a device; all numbers but those of pci and isa are decimal:
//   pci:0000:00:02.0 or pci:0000:00:02.0,multi   drive:controller:bus:target:unit   usb:bus:port
//   virtio-serial:controller:bus:port            isa:0x505 or isa:0x505,irq
struct VmDisk {
  std::string target;                    // "vda"
  std::string bus;                       // virtio, scsi, sata, ide
  uint64_t size = 0;                     // bytes, virtual
  std::string serial;                    // as the guest sees it; may be empty
  std::string address;                   // see "Addresses"; may be empty
  uint32_t boot_order = 0;               // 0 = none
  bool discard = false;                  // discard='unmap'
  std::string cache, io, detect_zeroes;  // each from its own fixed list, or empty
  bool operator==(const VmDisk&) const = default;
};
struct VmNic {
  std::string mac;    // lower case
  std::string model;  // virtio, e1000e, e1000, rtl8139
  std::string
      network;  // the primary's libvirt network or bridge name; mapped on the replica; empty: user-mode
  std::string address;
  uint32_t boot_order = 0;
  bool link_up = true;
  bool operator==(const VmNic&) const = default;
};
struct VmController {
  std::string type;   // pci, usb, scsi, sata, ide, virtio-serial
  std::string model;  // from a fixed list, or empty
  uint32_t index = 0;
  std::string address;
  // pci: of the bridge or port, 0 = unset. usb, virtio-serial: `port` = how many ports.
  uint32_t chassis = 0, port = 0, bus_nr = 0;
  bool operator==(const VmController&) const = default;
};
// A simple device that is only type, model and address: input, video, rng, memballoon, watchdog, panic,
// serial, console, channel (guest agent and spice only), redirdev (spice's usb), graphics (type only; listens
// on loopback), sound. What the fields mean for each is said by the table in vm_definition.cc.
struct VmDevice {
  std::string element;  // from the white list above
  std::string type;
  std::string model;
  std::string address;
  std::string target;  // serial, console, channel: target type or name; input, redirdev: bus; video,
                       // memballoon, sound: "key=value,..." from a fixed list; may be empty
  uint32_t port = 0;
  bool operator==(const VmDevice&) const = default;
};
struct VmDefinition {
  Uuid id;
  std::string name;
  std::string title, description;
  std::string type;           // kvm or qemu
  std::string arch, machine;  // x86_64, pc-q35-7.2
  uint64_t memory_kib = 0, current_memory_kib = 0;
  uint32_t vcpus = 0, current_vcpus = 0;
  uint32_t sockets = 0, dies = 0, cores = 0, threads = 0;  // 0 = not given
  std::string cpu_mode, cpu_model, cpu_check;
  std::vector<std::string>
      cpu_features;  // "+name" require, "-name" disable, "!name" force, "?name" optional, "~name" forbid
  // Direct kernel boot names files of the host: `kernel` and `initrd` are paths that must exist on both hosts
  // below /var/lib/libvirt/boot or /boot; anything else is refused with the way out.
  std::string kernel, initrd, cmdline;
  std::string firmware;                             // efi, or empty: BIOS
  bool secure_boot = false, enrolled_keys = false;  // of efi, as libvirt's choice of firmware names them
  std::vector<std::string> boot_devices;            // hd, cdrom, network
  bool acpi = true, apic = true, pae = false;
  std::vector<std::string> features;  // other switches of the white list, "name=value", sorted
  std::string clock_offset;           // utc, localtime
  std::vector<std::string> timers;    // "name:policy:present" triples from the white list
  std::string on_poweroff, on_reboot, on_crash;
  std::vector<VmDisk> disks;
  std::vector<std::string> cdroms;  // targets "sda:sata"; travel empty
  std::vector<VmNic> nics;
  std::vector<VmController> controllers;
  std::vector<VmDevice> devices;
  bool operator==(const VmDefinition&) const = default;
};

// Every field in its range and from its list; errors name the field, the value and the way out.
Status check(const VmDefinition& definition);

}  // namespace understudy
