#include "model/vm_definition.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/limits.h"
#include "model/disk.h"
#include "model/network.h"

namespace understudy {
namespace {

// Bounds of a definition; generous against what libvirt 9 and QEMU 7 take.
constexpr size_t kMostName = 128;
constexpr size_t kMostWord = 60;
constexpr size_t kMostText = 4096;
constexpr size_t kMostPath = 1024;
constexpr uint64_t kLeastMemoryKib = 1 << 10;
constexpr uint64_t kMostMemoryKib = 16ULL << 30;  // 16 TiB
constexpr uint32_t kMostVcpus = 1024;
constexpr size_t kMostControllers = 256;
constexpr size_t kMostDevices = 64;
constexpr size_t kMostCpuFeatures = 256;
constexpr size_t kMostFeatures = 64;
constexpr size_t kMostTimers = 16;
constexpr size_t kMostCdroms = 8;
constexpr uint32_t kMostIndex = 65535;

constexpr std::string_view kSwitches =
    "vmport smm pmu vmcoreinfo pvspinlock apic.eoi kvm.hidden kvm.hint-dedicated kvm.poll-control kvm.pv-ipi "
    "hyperv.relaxed hyperv.vapic hyperv.vpindex hyperv.runtime hyperv.synic hyperv.stimer "
    "hyperv.stimer.direct "
    "hyperv.reset hyperv.frequencies hyperv.reenlightenment hyperv.tlbflush hyperv.ipi hyperv.evmcs "
    "hyperv.avic";
constexpr std::string_view kYesNo = "pm.suspend-to-mem pm.suspend-to-disk bootmenu bios.useserial";

// What a simple device may say. An empty list means that the field is empty. A list of "key=" words is for
// options.
struct DeviceRule {
  std::string_view element, types, models, targets;
};
constexpr DeviceRule kDevices[] = {
    // element    type                                          model                              target
    {"input", "mouse keyboard tablet", "", "ps2 usb virtio"},
    {"video", "", "vga cirrus qxl virtio bochs ramfb none", "ram= vram= vram64= vgamem= heads="},
    {"rng", "random builtin", "virtio", ""},
    {"memballoon", "", "virtio none", "autodeflate= freePageReporting="},
    {"watchdog", "reset shutdown poweroff pause none inject-nmi", "i6300esb ib700 itco diag288", ""},
    {"panic", "", "isa hyperv pvpanic", ""},
    {"serial", "", "isa-serial pci-serial usb-serial", "isa-serial pci-serial usb-serial"},
    {"console", "", "", "virtio"},
    {"channel", "unix", "", "org.qemu.guest_agent.0"},
    {"channel", "spicevmc", "", "com.redhat.spice.0"},
    {"redirdev", "spicevmc", "", "usb"},
    {"graphics", "vnc spice", "", ""},
    {"sound", "", "ac97 es1370 ich6 ich7 ich9 usb sb16 pcspk", "codec="},
};

struct ControllerRule {
  std::string_view type, models;
};
constexpr ControllerRule kControllers[] = {
    {"pci",
     "pci-root pcie-root pcie-root-port pcie-to-pci-bridge pci-bridge dmi-to-pci-bridge "
     "pcie-switch-upstream-port "
     "pcie-switch-downstream-port"},
    {"usb",
     "- none piix3-uhci piix4-uhci ehci ich9-ehci1 ich9-uhci1 ich9-uhci2 ich9-uhci3 qemu-xhci nec-xhci"},
    {"scsi", "- virtio-scsi lsilogic lsisas1068"},
    {"sata", "-"},
    {"ide", "- piix3 piix4"},
    {"virtio-serial", "-"},
};

// Is `word` one of the words of `list`? A list that is empty or starts with "-" admits the empty word.
bool listed(std::string_view word, std::string_view list) {
  if (word.empty()) return list.empty() || list.front() == '-';
  if (word == "-") return false;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(' ', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

tl::unexpected<Error> bad(std::string_view field, std::string_view value, std::string_view why) {
  constexpr size_t kShown = 80;
  return fail(ErrorCode::invalid_parameter,
              std::string(field) + " '" + std::string(value.substr(0, kShown)) + "' " + std::string(why));
}

Status one_of(std::string_view field, std::string_view value, std::string_view list) {
  if (listed(value, list)) return {};
  return bad(field, value, "is not one of: " + std::string(list));
}

Status in_range(std::string_view field, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most) return {};
  return bad(field, std::to_string(value),
             "is not within " + std::to_string(least) + ".." + std::to_string(most));
}

Status at_most(std::string_view field, size_t count, size_t most) {
  if (count <= most) return {};
  return bad(field, std::to_string(count), "are more than " + std::to_string(most));
}

bool alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool all_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return alnum(c) || others.find(c) != std::string_view::npos; });
}

Status word(std::string_view field, std::string_view value, bool may_be_empty = false) {
  if (value.empty() && may_be_empty) return {};
  if (!value.empty() && value.size() <= kMostWord && all_of(value, "._+-")) return {};
  return bad(field, value, "is not a plain word of at most " + std::to_string(kMostWord) + " characters");
}

// The length of the UTF-8 sequence at the start of `text`, 0 when it is none that XML may hold.
size_t character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xf0 && lead < 0xf5 ? 4
                                                      : 0;
  if (length == 0 || text.size() < length) return 0;
  uint32_t code = lead & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool control = code < 0xa0 || code == 0xfffe || code == 0xffff;
  return code < kLeast[length] || code > 0x10ffff || surrogate || control ? 0 : length;
}

Status plain_text(std::string_view field, std::string_view value, size_t most, bool lines = false) {
  if (value.size() > most) return bad(field, value, "is longer than " + std::to_string(most) + " bytes");
  for (size_t at = 0; at < value.size();) {
    const char c = value[at];
    const bool control = static_cast<uint8_t>(c) < 0x20 || c == 0x7f;
    const size_t length = control && !(lines && (c == '\n' || c == '\t')) ? 0 : character(value.substr(at));
    if (length == 0) return bad(field, value.substr(0, at), "goes on with what is no printable UTF-8");
    at += length;
  }
  return {};
}

bool number(std::string_view text, uint32_t most, int base = 10) {
  const std::string_view digits = base == 16 ? "0123456789abcdef" : "0123456789";
  if (text.empty() || text.size() > 8) return false;
  uint64_t value = 0;
  for (const char c : text) {
    const size_t digit = digits.find(c);
    if (digit == std::string_view::npos) return false;
    value = value * static_cast<uint64_t>(base) + digit;
  }
  return value <= most;
}

// Takes the text up to `mark` (or all of it) off the front.
std::string_view take(std::string_view& text, char mark) {
  const size_t at = std::min(text.find(mark), text.size());
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

bool pci_address(std::string_view rest) {
  const bool ok = number(take(rest, ':'), 0xffff, 16) && number(take(rest, ':'), 0xff, 16) &&
                  number(take(rest, '.'), 0x1f, 16);
  const std::string_view function = take(rest, ',');
  return ok && number(function, 7, 16) && (rest.empty() || rest == "multi");
}

bool decimal_address(std::string_view rest, int parts) {
  for (int i = 1; i < parts; ++i) {
    if (!number(take(rest, ':'), kMostIndex)) return false;
  }
  return number(rest, kMostIndex);
}

bool usb_address(std::string_view rest) {
  if (!number(take(rest, ':'), kMostIndex)) return false;
  int levels = 0;  // a port is "1" or, behind hubs, "1.2.3"
  do {
    if (!number(take(rest, '.'), 255)) return false;
  } while (!rest.empty() && ++levels < 4);
  return rest.empty();
}

bool isa_address(std::string_view rest) {
  if (rest.substr(0, 2) != "0x") return false;
  rest.remove_prefix(2);
  const bool irq = rest.find(',') != std::string_view::npos;
  return number(take(rest, ','), 0xffff, 16) && (irq ? number(rest, 255) : rest.empty());
}

Status address(std::string_view field, std::string_view value) {
  std::string_view rest = value;
  const std::string_view kind = take(rest, ':');
  const bool good = value.empty() || (kind == "pci" && pci_address(rest)) ||
                    (kind == "drive" && decimal_address(rest, 4)) || (kind == "usb" && usb_address(rest)) ||
                    (kind == "virtio-serial" && decimal_address(rest, 3)) ||
                    (kind == "isa" && isa_address(rest));
  if (good) return {};
  return bad(field, value, "is no device address");
}

// "key=value,..." with keys from `list` ("ram= heads=") and plain values.
Status options(std::string_view field, std::string_view value, std::string_view list) {
  if (value.size() > 4 * kMostWord) return bad(field, value, "is too long");
  for (std::string_view rest = value; !rest.empty();) {
    std::string_view option = take(rest, ',');
    const std::string key = std::string(take(option, '=')) + "=";
    if (!listed(key, list)) return bad(field, key, "is not one of: " + std::string(list));
    US_CHECK(word(field, option));
  }
  return {};
}

bool is_target(std::string_view text) {
  return !text.empty() && text.size() <= 4 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

Status check_identity(const VmDefinition& d) {
  if (d.id.nil()) return bad("uuid", d.id.lower(), "is nil");
  US_CHECK(plain_text("name", d.name, kMostName));
  if (d.name.empty() || d.name.find('/') != std::string::npos || d.name.front() == '.' ||
      d.name.front() == '-' || d.name.front() == ' ' || d.name.back() == ' ') {
    return bad("name", d.name, "is no name for a VM");
  }
  US_CHECK(plain_text("title", d.title, kMostName * 2));
  return plain_text("description", d.description, kMostText, true);
}

Status check_processor(const VmDefinition& d) {
  US_CHECK(one_of("domain type", d.type, "kvm qemu"));
  US_CHECK(one_of("architecture", d.arch, "x86_64 i686"));
  US_CHECK(word("machine", d.machine));
  if (d.machine.substr(0, 2) != "pc" && d.machine != "q35") return bad("machine", d.machine, "is not a PC");
  US_CHECK(in_range("memory (KiB)", d.memory_kib, kLeastMemoryKib, kMostMemoryKib));
  US_CHECK(in_range("current memory (KiB)", d.current_memory_kib, kLeastMemoryKib, d.memory_kib));
  US_CHECK(in_range("vcpus", d.vcpus, 1, kMostVcpus));
  US_CHECK(in_range("current vcpus", d.current_vcpus, 1, d.vcpus));
  if (d.sockets != 0 || d.dies != 0 || d.cores != 0 || d.threads != 0) {
    for (const uint32_t n : {d.sockets, d.dies, d.cores, d.threads})
      US_CHECK(in_range("cpu topology", n, 1, kMostVcpus));
    const uint64_t product = uint64_t{d.sockets} * d.dies * d.cores * d.threads;
    if (product != d.vcpus) return bad("cpu topology", std::to_string(product), "is not the number of vcpus");
  }
  US_CHECK(one_of("cpu mode", d.cpu_mode, "- custom host-model host-passthrough maximum"));
  US_CHECK(word("cpu model", d.cpu_model, true));
  if ((d.cpu_mode == "custom") != !d.cpu_model.empty())
    return bad("cpu model", d.cpu_model, "does not fit mode " + d.cpu_mode);
  US_CHECK(one_of("cpu check", d.cpu_check, "- none partial full"));
  US_CHECK(at_most("cpu features", d.cpu_features.size(), kMostCpuFeatures));
  for (const std::string& feature : d.cpu_features) {
    if (feature.empty() || std::string_view("+-!?~").find(feature[0]) == std::string_view::npos) {
      return bad("cpu feature", feature, "has no policy");
    }
    US_CHECK(word("cpu feature", feature.substr(1)));
  }
  return {};
}

Status check_boot_file(std::string_view field, const std::string& path) {
  if (path.empty()) return {};
  US_CHECK(plain_text(field, path, kMostPath));
  const bool allowed = path.rfind("/var/lib/libvirt/boot/", 0) == 0 || path.rfind("/boot/", 0) == 0;
  if (allowed && path.find("/../") == std::string::npos && path.back() != '/' && !path.ends_with("/.."))
    return {};
  return fail(ErrorCode::not_supported,
              std::string(field) + " '" + path + "' is not below /var/lib/libvirt/boot or /boot",
              "put it there on both hosts, or let the guest boot from its disk");
}

Status check_feature(std::string_view feature) {
  std::string_view value = feature;
  const std::string_view name = take(value, '=');
  if (listed(name, kSwitches)) return one_of(name, value, "on off");
  if (listed(name, kYesNo)) return one_of(name, value, "yes no");
  if (name == "genid") return one_of(name, value, "new");
  if (name == "hyperv.spinlocks" && number(value, 0x7fffffff)) return {};
  return bad("feature", feature, "is not known");
}

Status check_timer(std::string_view timer) {
  std::string_view rest = timer;
  US_CHECK(one_of("timer", take(rest, ':'), "rtc pit hpet tsc kvmclock hypervclock platform"));
  US_CHECK(one_of("timer policy", take(rest, ':'), "- delay catchup merge discard"));
  return one_of("timer presence", rest, "- yes no");
}

Status check_platform(const VmDefinition& d) {
  US_CHECK(check_boot_file("kernel", d.kernel));
  US_CHECK(check_boot_file("initrd", d.initrd));
  US_CHECK(plain_text("kernel command line", d.cmdline, kMostText));
  US_CHECK(one_of("firmware", d.firmware, "- efi"));
  if (d.secure_boot && d.firmware.empty()) return bad("firmware", d.firmware, "has no Secure Boot");
  if (d.enrolled_keys && !d.secure_boot) return bad("enrolled keys", "yes", "need Secure Boot");
  US_CHECK(at_most("boot devices", d.boot_devices.size(), 4));
  for (const std::string& device : d.boot_devices)
    US_CHECK(one_of("boot device", device, "hd cdrom network"));
  US_CHECK(at_most("features", d.features.size(), kMostFeatures));
  for (const std::string& feature : d.features) US_CHECK(check_feature(feature));
  US_CHECK(one_of("clock offset", d.clock_offset, "utc localtime"));
  US_CHECK(at_most("timers", d.timers.size(), kMostTimers));
  for (const std::string& timer : d.timers) US_CHECK(check_timer(timer));
  US_CHECK(one_of("on_poweroff", d.on_poweroff, "- destroy restart preserve rename-restart"));
  US_CHECK(one_of("on_reboot", d.on_reboot, "- destroy restart preserve rename-restart"));
  return one_of("on_crash", d.on_crash,
                "- destroy restart preserve rename-restart coredump-destroy coredump-restart");
}

Status check_disk(const VmDisk& disk) {
  US_CHECK(one_of("bus", disk.bus, "virtio scsi sata ide"));
  US_CHECK(in_range("size", disk.size, 512, limits::kMostDiskSize));
  if (disk.size % 512 != 0) return bad("size", std::to_string(disk.size), "is not a multiple of 512");
  US_CHECK(plain_text("serial", disk.serial, kMostWord));
  if (!all_of(disk.serial, " ._+-"))
    return bad("serial", disk.serial, "holds more than letters, digits and ' ._+-'");
  US_CHECK(address("address", disk.address));
  US_CHECK(in_range("boot order", disk.boot_order, 0, kMostIndex));
  US_CHECK(one_of("cache", disk.cache, "- default none writeback writethrough directsync unsafe"));
  US_CHECK(one_of("io", disk.io, "- native threads io_uring"));
  return one_of("detect_zeroes", disk.detect_zeroes, "- off on unmap");
}

Status check_disks(const VmDefinition& d) {
  US_CHECK(at_most("disks", d.disks.size(), limits::kMostDisks));
  US_CHECK(at_most("cdroms", d.cdroms.size(), kMostCdroms));
  std::set<std::string, std::less<>> targets;
  for (const VmDisk& disk : d.disks) {
    if (!is_target(disk.target)) return bad("disk", disk.target, "is no target name");
    if (!targets.insert(disk.target).second) return bad("disk", disk.target, "comes twice");
    if (Status status = check_disk(disk); !status) return fail(status.error().context("disk " + disk.target));
  }
  for (const std::string& cdrom : d.cdroms) {
    std::string_view bus = cdrom;
    const std::string_view target = take(bus, ':');
    if (!is_target(target)) return bad("cdrom", cdrom, "is no target name");
    if (!targets.emplace(target).second) return bad("cdrom", cdrom, "comes twice");
    US_CHECK(one_of("cdrom bus", bus, "scsi sata ide usb"));
  }
  return {};
}

Status check_nic(const VmNic& nic) {
  if (!is_mac(nic.mac)) return bad("mac", nic.mac, "is no address in lower case");
  US_CHECK(one_of("nic model", nic.model, "virtio e1000e e1000 rtl8139"));
  US_CHECK(plain_text("network", nic.network, kMostName));
  US_CHECK(in_range("boot order", nic.boot_order, 0, kMostIndex));
  return address("nic address", nic.address);
}

Status check_controller(const VmController& controller) {
  const auto rule = std::find_if(std::begin(kControllers), std::end(kControllers),
                                 [&](const ControllerRule& r) { return r.type == controller.type; });
  if (rule == std::end(kControllers)) return bad("controller", controller.type, "is not of a known type");
  US_CHECK(one_of(controller.type + " controller model", controller.model, rule->models));
  for (const uint32_t n : {controller.index, controller.chassis, controller.port, controller.bus_nr}) {
    US_CHECK(in_range(controller.type + " controller number", n, 0, kMostIndex));
  }
  return address("controller address", controller.address);
}

bool fits(const VmDevice& device, const DeviceRule& rule) {
  return rule.element == device.element && listed(device.type, rule.types) &&
         listed(device.model, rule.models) &&
         (rule.targets.find('=') != std::string_view::npos || listed(device.target, rule.targets));
}

Status check_device(const VmDevice& device) {
  const auto rule = std::find_if(std::begin(kDevices), std::end(kDevices),
                                 [&](const DeviceRule& r) { return fits(device, r); });
  const std::string what = device.element + " " + device.type + " " + device.model + " " + device.target;
  if (rule == std::end(kDevices)) return bad("device", what, "is not on the list of devices that travel");
  if (rule->targets.find('=') != std::string_view::npos)
    US_CHECK(options(device.element, device.target, rule->targets));
  US_CHECK(in_range("port", device.port, 0, kMostIndex));
  return address(device.element + " address", device.address);
}

}  // namespace

Status check(const VmDefinition& d) {
  US_CHECK(check_identity(d));
  US_CHECK(check_processor(d));
  US_CHECK(check_platform(d));
  US_CHECK(check_disks(d));
  US_CHECK(at_most("network cards", d.nics.size(), limits::kMostNics));
  for (const VmNic& nic : d.nics) US_CHECK(check_nic(nic));
  US_CHECK(at_most("controllers", d.controllers.size(), kMostControllers));
  for (const VmController& controller : d.controllers) US_CHECK(check_controller(controller));
  US_CHECK(at_most("devices", d.devices.size(), kMostDevices));
  for (const VmDevice& device : d.devices) US_CHECK(check_device(device));
  return {};
}

}  // namespace understudy
