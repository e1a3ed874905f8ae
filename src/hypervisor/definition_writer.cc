#include <map>

#include "base/assert.h"
#include "hypervisor/definition.h"
#include "hypervisor/definition_parts.h"

namespace understudy::hypervisor {
namespace {

// Takes the text up to `mark` (or all of it) off the front.
std::string_view take(std::string_view& text, char mark) {
  const size_t at = std::min(text.find(mark), text.size());
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

void write_address(Element& device, std::string_view address) {
  if (address.empty()) return;
  const std::string_view kind = take(address, ':');
  Element& a = device.add("address").set("type", kind);
  const auto set_parts = [&](std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) a.set(name, take(address, ':'));
  };
  if (kind == "pci") {
    a.set("domain", "0x" + std::string(take(address, ':')))
        .set("bus", "0x" + std::string(take(address, ':')));
    a.set("slot", "0x" + std::string(take(address, '.')))
        .set("function", "0x" + std::string(take(address, ',')));
    if (address == "multi") a.set("multifunction", "on");
  } else if (kind == "drive") {
    set_parts({"controller", "bus", "target", "unit"});
  } else if (kind == "usb") {
    set_parts({"bus", "port"});
  } else if (kind == "virtio-serial") {
    set_parts({"controller", "bus", "port"});
  } else if (kind == "isa") {
    a.set("iobase", take(address, ','));
    if (!address.empty()) a.set("irq", "0x" + std::string(address));
  }
}

void set_unless_empty(Element& e, std::string_view name, std::string_view value) {
  if (!value.empty()) e.set(name, value);
}

void write_boot_order(Element& device, uint32_t order) {
  if (order != 0) device.add("boot").set("order", std::to_string(order));
}

// The value of a switch, or empty.
std::string_view feature(const VmDefinition& d, std::string_view name) {
  for (const std::string& f : d.features) {
    std::string_view value = f;
    if (take(value, '=') == name) return value;
  }
  return {};
}

void write_identity(const VmDefinition& d, Element& domain) {
  domain.add("name", d.name);
  domain.add("uuid", d.id.lower());
  if (!feature(d, "genid").empty())
    domain.add("genid");  // a new one: the guest shall notice that it is a copy
  if (!d.title.empty()) domain.add("title", d.title);
  if (!d.description.empty()) domain.add("description", d.description);
  domain.add("metadata").add("understudy:replica").set("xmlns:understudy", kNamespace);
  domain.add("memory", std::to_string(d.memory_kib)).set("unit", "KiB");
  domain.add("currentMemory", std::to_string(d.current_memory_kib)).set("unit", "KiB");
  Element& vcpu = domain.add("vcpu", std::to_string(d.vcpus));
  if (d.current_vcpus != d.vcpus) vcpu.set("current", std::to_string(d.current_vcpus));
}

void write_os(const VmDefinition& d, const ReplicaSite& site, Element& domain) {
  Element& os = domain.add("os");
  if (!d.firmware.empty()) os.set("firmware", d.firmware);
  os.add("type", "hvm").set("arch", d.arch).set("machine", d.machine);
  if (!d.firmware.empty()) {
    const auto word = [](bool yes) { return yes ? "yes" : "no"; };
    Element& firmware = os.add("firmware");
    firmware.add("feature").set("enabled", word(d.enrolled_keys)).set("name", "enrolled-keys");
    firmware.add("feature").set("enabled", word(d.secure_boot)).set("name", "secure-boot");
    os.add("nvram", site.nvram);
  }
  if (!d.kernel.empty()) os.add("kernel", d.kernel);
  if (!d.initrd.empty()) os.add("initrd", d.initrd);
  if (!d.cmdline.empty()) os.add("cmdline", d.cmdline);
  for (const std::string& device : d.boot_devices) os.add("boot").set("dev", device);
  if (const auto value = feature(d, "bootmenu"); !value.empty()) os.add("bootmenu").set("enable", value);
  if (const auto value = feature(d, "bios.useserial"); !value.empty()) os.add("bios").set("useserial", value);
}

void write_hyperv(std::string_view name, std::string_view value, Element& hyperv) {
  if (name == "stimer.direct") {
    for (Element& e : hyperv.children) {
      if (e.name == "stimer") e.add("direct").set("state", value);
    }
  } else if (name == "spinlocks") {
    hyperv.add(name).set("state", "on").set("retries", value);
  } else {
    hyperv.add(name).set("state", value);
  }
}

void write_features(const VmDefinition& d, Element& domain) {
  Element features;
  features.name = "features";
  Element hyperv, kvm;
  hyperv.name = "hyperv";
  kvm.name = "kvm";
  if (d.acpi) features.add("acpi");
  if (d.apic) set_unless_empty(features.add("apic"), "eoi", feature(d, "apic.eoi"));
  if (d.pae) features.add("pae");
  for (const std::string& f : d.features) {  // sorted: stimer comes before stimer.direct
    std::string_view value = f;
    std::string_view name = take(value, '=');
    if (has_word("vmport smm pmu vmcoreinfo pvspinlock", name)) features.add(name).set("state", value);
    const std::string_view group =
        name.find('.') == std::string_view::npos ? std::string_view{} : take(name, '.');
    if (group == "hyperv") write_hyperv(name, value, hyperv);
    if (group == "kvm") kvm.add(name).set("state", value);
  }
  for (Element* e : {&hyperv, &kvm}) {
    if (!e->children.empty()) features.children.push_back(std::move(*e));
  }
  if (!features.children.empty()) domain.children.push_back(std::move(features));
}

void write_cpu(const VmDefinition& d, Element& domain) {
  Element& cpu = domain.add("cpu");
  set_unless_empty(cpu, "mode", d.cpu_mode);
  if (d.cpu_mode == "custom") cpu.set("match", "exact");
  set_unless_empty(cpu, "check", d.cpu_check);
  if (!d.cpu_model.empty()) cpu.add("model", d.cpu_model).set("fallback", "forbid");
  if (d.sockets != 0) {
    cpu.add("topology")
        .set("sockets", std::to_string(d.sockets))
        .set("dies", std::to_string(d.dies))
        .set("cores", std::to_string(d.cores))
        .set("threads", std::to_string(d.threads));
  }
  static const std::map<char, std::string_view> kPolicies = {
      {'+', "require"}, {'-', "disable"}, {'!', "force"}, {'?', "optional"}, {'~', "forbid"}};
  for (const std::string& f : d.cpu_features)
    cpu.add("feature").set("policy", kPolicies.at(f[0])).set("name", f.substr(1));
  if (cpu.attributes.empty() && cpu.children.empty()) domain.children.pop_back();
}

void write_clock(const VmDefinition& d, Element& domain) {
  Element& clock = domain.add("clock").set("offset", d.clock_offset);
  for (const std::string& timer : d.timers) {
    std::string_view rest = timer;
    Element& e = clock.add("timer").set("name", take(rest, ':'));
    set_unless_empty(e, "tickpolicy", take(rest, ':'));
    set_unless_empty(e, "present", rest);
  }
  if (!d.on_poweroff.empty()) domain.add("on_poweroff", d.on_poweroff);
  if (!d.on_reboot.empty()) domain.add("on_reboot", d.on_reboot);
  if (!d.on_crash.empty()) domain.add("on_crash", d.on_crash);
  Element pm;
  pm.name = "pm";
  for (const std::string_view name : {"suspend-to-mem", "suspend-to-disk"}) {
    const auto value = feature(d, "pm." + std::string(name));
    if (!value.empty()) pm.add(name).set("enabled", value);
  }
  if (!pm.children.empty()) domain.children.push_back(std::move(pm));
}

void write_disk(const VmDisk& disk, const std::string& path, Element& devices) {
  Element& e = devices.add("disk").set("type", "file").set("device", "disk");
  Element& driver = e.add("driver").set("name", "qemu").set("type", "qcow2");
  set_unless_empty(driver, "cache", disk.cache);
  set_unless_empty(driver, "io", disk.io);
  if (disk.discard) driver.set("discard", "unmap");
  set_unless_empty(driver, "detect_zeroes", disk.detect_zeroes);
  // Without this label libvirt makes the whole chain its own when the VM starts, and again when it stops.
  e.add("source").set("file", path).add("seclabel").set("model", "dac").set("relabel", "no");
  e.add("target").set("dev", disk.target).set("bus", disk.bus);
  if (!disk.serial.empty()) e.add("serial", disk.serial);
  write_boot_order(e, disk.boot_order);
  write_address(e, disk.address);
}

void write_cdrom(std::string_view cdrom, Element& devices) {
  Element& e = devices.add("disk").set("type", "file").set("device", "cdrom");
  e.add("driver").set("name", "qemu").set("type", "raw");
  Element& target = e.add("target");
  target.set("dev", take(cdrom, ':')).set("bus", cdrom);
  e.add("readonly");
}

// A card whose network is not known here stays in its slot, unplugged: the guest's view of its hardware is
// kept.
void write_nic(const VmNic& nic, const ReplicaSite& site, Element& devices) {
  const auto network = site.networks.find(nic.network);
  const bool user = nic.network.empty();
  const bool unplugged = !user && network == site.networks.end();
  std::string_view local = user || unplugged ? std::string_view("user:") : std::string_view(network->second);
  const std::string_view type = local.find(':') == std::string_view::npos ? "network" : take(local, ':');
  Element& e = devices.add("interface").set("type", type);
  e.add("mac").set("address", nic.mac);
  if (!local.empty()) e.add("source").set(type, local);
  e.add("model").set("type", nic.model);
  if (unplugged || !nic.link_up) e.add("link").set("state", "down");
  write_boot_order(e, nic.boot_order);
  write_address(e, nic.address);
}

void write_controller(const VmController& c, Element& devices) {
  Element& e = devices.add("controller").set("type", c.type).set("index", std::to_string(c.index));
  set_unless_empty(e, "model", c.model);
  if (c.type == "pci") {
    Element target;
    target.name = "target";
    if (c.chassis != 0)
      target.set(c.model == "pci-bridge" ? "chassisNr" : "chassis", std::to_string(c.chassis));
    if (c.port != 0) target.set("port", std::to_string(c.port));
    if (!target.attributes.empty()) e.children.push_back(std::move(target));
  } else if (c.port != 0) {
    e.set("ports", std::to_string(c.port));
  }
  if (c.model.rfind("ich9-uhci", 0) == 0)
    e.add("master").set("startport", std::to_string((c.model.back() - '1') * 2));
  write_address(e, c.address);
}

void set_options(Element& e, std::string_view options) {
  while (!options.empty()) {
    std::string_view value = take(options, ',');
    const std::string_view key = take(value, '=');
    e.set(key, value);
  }
}

void write_port(const VmDevice& d, const std::string& log, Element& e) {
  e.set("type", d.element == "channel" ? d.type : "pty");
  if (!log.empty()) e.add("log").set("file", log).set("append", "on");
  Element& target = e.add("target").set("type", d.element == "channel" ? "virtio" : d.target);
  if (d.element == "channel")
    target.set("name", d.target);
  else
    target.set("port", std::to_string(d.port));
  if (!d.model.empty()) target.add("model").set("name", d.model);
}

void write_device(const VmDevice& d, const std::string& log, Element& devices) {
  Element& e = devices.add(d.element);
  if (d.element == "input" || d.element == "redirdev") {
    e.set("type", d.type).set("bus", d.target);
  } else if (d.element == "video") {
    set_options(e.add("model").set("type", d.model), d.target);
  } else if (d.element == "rng") {
    e.set("model", d.model).add("backend", d.type == "random" ? "/dev/urandom" : "").set("model", d.type);
  } else if (d.element == "memballoon") {
    set_options(e.set("model", d.model), d.target);
  } else if (d.element == "watchdog") {
    e.set("model", d.model).set("action", d.type);
  } else if (d.element == "panic") {
    e.set("model", d.model);
  } else if (d.element == "sound") {
    e.set("model", d.model);
    if (!d.target.empty()) e.add("codec").set("type", d.target.substr(d.target.find('=') + 1));
  } else if (d.element == "graphics") {
    e.set("type", d.type)
        .set("autoport", "yes")
        .add("listen")
        .set("type", "address")
        .set("address", "127.0.0.1");
  } else {
    write_port(d, log, e);
  }
  write_address(e, d.address);
}

void write_devices(const VmDefinition& d, const ReplicaSite& site, Element& domain) {
  Element& devices = domain.add("devices");  // without <emulator>: libvirt knows this host's
  for (size_t i = 0; i < d.disks.size(); ++i) write_disk(d.disks[i], site.disk_paths[i], devices);
  for (const std::string& cdrom : d.cdroms) write_cdrom(cdrom, devices);
  for (const VmController& c : d.controllers) write_controller(c, devices);
  for (const VmNic& nic : d.nics) write_nic(nic, site, devices);
  for (const VmDevice& device : d.devices) {
    const bool first_port = device.element == "serial" && device.port == 0;
    write_device(device, first_port ? site.serial_log : "", devices);
  }
}

}  // namespace

std::string write_domain(const VmDefinition& definition, const ReplicaSite& site) {
  US_ASSERT(site.disk_paths.size() == definition.disks.size());
  Element domain;
  domain.name = "domain";
  domain.set("type", definition.type);
  write_identity(definition, domain);
  write_os(definition, site, domain);
  write_features(definition, domain);
  write_cpu(definition, domain);
  write_clock(definition, domain);
  write_devices(definition, site, domain);
  return to_xml(domain);
}

}  // namespace understudy::hypervisor
