#include <algorithm>
#include <cstdio>

#include "hypervisor/definition_parts.h"

namespace understudy::hypervisor {
namespace {

// Devices that cannot travel, with what they are and the way out.
struct Refusal {
  std::string_view element, what, way_out;
};
constexpr std::string_view kRemove = "remove it: virsh edit NAME";
constexpr Refusal kRefusals[] = {
    {"hostdev", "a device of this host passed through (hostdev)",
     "detach it: virsh detach-device NAME FILE --config"},
    {"filesystem", "a folder of this host (filesystem, virtiofs)",
     "share it over the network instead, and remove it: virsh edit NAME"},
    {"shmem", "memory shared with this host (shmem)", kRemove},
    {"tpm", "a TPM, whose secrets stay on this host",
     "remove it (and what the guest sealed with it) before: virsh edit NAME"},
    {"memory", "a memory device (dimm, nvdimm)", "give the memory in <memory>: virsh edit NAME"},
    {"iommu", "a virtual IOMMU", kRemove},
    {"vsock", "a vsock to this host", kRemove},
    {"smartcard", "a smart card reader", kRemove},
    {"crypto", "a crypto device", kRemove},
    {"hub", "a USB hub", kRemove},
    {"parallel", "a parallel port", kRemove},
    {"lease", "a disk lease", kRemove},
    {"nvram", "an NVRAM device", kRemove},
};

std::string_view hex(std::string_view number) {
  return number.substr(0, 2) == "0x" ? number.substr(2) : number;
}
std::string text_of(std::string_view attribute) {
  return std::string(attribute);
}

Result<std::string> pci_address(const Element& a) {
  US_CHECK(only(a, "type domain bus slot function multifunction", ""));
  uint32_t parts[4];
  const std::string_view names[] = {"domain", "bus", "slot", "function"};
  for (size_t i = 0; i < 4; ++i) {
    US_TRY(parts[i], number32(a.attribute(names[i])));
  }
  char text[48];
  std::snprintf(text, sizeof text, "pci:%04x:%02x:%02x.%x%s", parts[0], parts[1], parts[2], parts[3],
                a.attribute("multifunction") == "on" ? ",multi" : "");
  return std::string(text);
}

// Decimal attributes joined by colons after the type.
std::string joined(const Element& a, std::initializer_list<std::string_view> names) {
  std::string text = text_of(a.attribute("type"));
  for (const std::string_view name : names)
    text += ":" + text_of(a.attribute(name).empty() ? "0" : a.attribute(name));
  return text;
}

Result<VmDevice> device(const Element& e) {
  VmDevice d;
  d.element = e.name;
  US_TRY(d.address, read_address(e));
  return d;
}

Status read_input(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "type bus", "address alias driver"));
  d.type = e.attribute("type");
  d.target = e.attribute("bus");
  return {};
}

// The named attributes that are there, as "key=value,...".
std::string options(const Element& e, std::initializer_list<std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) {
    if (e.attribute(name).empty()) continue;
    text += (text.empty() ? "" : ",") + text_of(name) + "=" + text_of(e.attribute(name));
  }
  return text;
}

Status read_video(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "", "model address alias driver"));
  const Element* model = e.child("model");
  if (model == nullptr) return refuse("<video> without a model");
  US_CHECK(only(*model, "type ram vram vram64 vgamem heads primary", "acceleration"));
  if (model->attribute_at("acceleration", "accel3d") == "yes")
    return refuse("3D acceleration", "turn it off: virsh edit NAME");
  d.model = model->attribute("type");
  d.target = options(*model, {"ram", "vram", "vram64", "vgamem", "heads"});
  return {};
}

Status read_rng(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "model", "backend rate address alias driver"));
  d.model = e.attribute("model");
  d.type = e.attribute_at("backend", "model");
  return {};
}

Status read_balloon(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "model autodeflate freePageReporting", "stats address alias driver"));
  d.model = e.attribute("model");
  d.target = options(e, {"autodeflate", "freePageReporting"});
  return {};
}

Status read_watchdog(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "model action", "address alias"));
  d.model = e.attribute("model");
  d.type = e.attribute("action");
  return {};
}

Status read_panic(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "model", "address alias"));
  d.model = e.attribute("model");
  return {};
}

// What is at the host's end of a port is of the site: the replica has a pty.
Status read_serial(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "type", "source target address alias log protocol"));
  d.target = e.attribute_at("target", "type");
  d.model = e.attribute_at("target/model", "name");
  US_TRY(d.port, number32(e.attribute_at("target", "port")));
  return {};
}

Status read_channel(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "type", "source target address alias"));
  d.type = e.attribute("type");
  d.target = e.attribute_at("target", "name");
  if (e.attribute_at("target", "type") == "virtio") return {};
  return refuse("a channel to " + text_of(e.attribute_at("target", "type")), text_of(kRemove));
}

Status read_redirdev(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "bus type", "address alias"));
  d.type = e.attribute("type");
  d.target = e.attribute("bus");
  return {};
}

Status read_sound(const Element& e, VmDevice& d) {
  US_CHECK(only(e, "model", "codec audio address alias"));
  d.model = e.attribute("model");
  if (const Element* codec = e.child("codec")) d.target = "codec=" + text_of(codec->attribute("type"));
  return {};
}

struct Reader {
  std::string_view element;
  Status (*read)(const Element&, VmDevice&);
};
constexpr Reader kReaders[] = {
    {"input", read_input},        {"video", read_video},       {"rng", read_rng},
    {"memballoon", read_balloon}, {"panic", read_panic},       {"watchdog", read_watchdog},
    {"serial", read_serial},      {"console", read_serial},    {"sound", read_sound},
    {"channel", read_channel},    {"redirdev", read_redirdev},
};

Status read_simple(const Element& e, VmDefinition& definition) {
  const auto refusal = std::find_if(std::begin(kRefusals), std::end(kRefusals),
                                    [&](const Refusal& r) { return r.element == e.name; });
  if (refusal != std::end(kRefusals)) return refuse(text_of(refusal->what), text_of(refusal->way_out));
  const auto reader = std::find_if(std::begin(kReaders), std::end(kReaders),
                                   [&](const Reader& r) { return r.element == e.name; });
  if (reader == std::end(kReaders)) return refuse("a device <" + e.name + ">", text_of(kRemove));
  US_TRY(VmDevice d, device(e));
  US_CHECK(reader->read(e, d));
  definition.devices.push_back(std::move(d));
  return {};
}

// The console that only mirrors the first serial port: libvirt adds it by itself.
bool is_mirror(const Element& e) {
  return e.name == "console" && e.attribute_at("target", "type") == "serial";
}

// What a graphics device is made of is of the site; that there is one is not.
Status read_graphics(const Element& e, VmDefinition& definition) {
  if (!has_word("vnc spice", e.attribute("type"))) return {};
  VmDevice d;
  d.element = e.name;
  d.type = e.attribute("type");
  definition.devices.push_back(std::move(d));
  return {};
}

}  // namespace

Result<std::string> read_address(const Element& device) {
  const Element* a = device.child("address");
  if (a == nullptr) return std::string();
  const std::string_view type = a->attribute("type");
  if (type == "pci") return pci_address(*a);
  if (type == "drive") return joined(*a, {"controller", "bus", "target", "unit"});
  if (type == "usb") return joined(*a, {"bus", "port"});
  if (type == "virtio-serial") return joined(*a, {"controller", "bus", "port"});
  if (type == "isa") {
    const std::string irq = text_of(hex(a->attribute("irq")));
    return "isa:0x" + text_of(hex(a->attribute("iobase"))) + (irq.empty() ? "" : "," + irq);
  }
  return refuse("an address of type " + text_of(type) + " in <" + device.name + ">", text_of(kRemove));
}

Result<uint32_t> read_boot_order(const Element& device) {
  return number32(device.attribute_at("boot", "order"));
}

Status read_nic(const Element& e, VmDefinition& definition) {
  US_CHECK(only(e, "type trustGuestRxFilters",
                "mac source model address boot link alias target bandwidth filterref virtualport vlan port "
                "driver backend "
                "tune coalesce"));
  const std::string_view type = e.attribute("type");
  VmNic nic;
  if (type == "network") {
    nic.network = e.attribute_at("source", "network");
  } else if (type == "bridge") {
    nic.network = e.attribute_at("source", "bridge");
  } else if (type == "direct") {
    nic.network = e.attribute_at("source", "dev");
  } else if (type != "user") {
    return refuse("a network card of type " + text_of(type),
                  "connect it to a libvirt network or a bridge: virsh edit NAME");
  }
  nic.mac = e.attribute_at("mac", "address");
  std::transform(nic.mac.begin(), nic.mac.end(), nic.mac.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  nic.model = e.attribute_at("model", "type");
  nic.link_up = e.attribute_at("link", "state") != "down";
  US_TRY(nic.address, read_address(e));
  US_TRY(nic.boot_order, read_boot_order(e));
  definition.nics.push_back(std::move(nic));
  return {};
}

Status read_controller(const Element& e, VmDefinition& definition) {
  // The device behind each model of pci controller, as libvirt chooses it; another one is not known to the
  // model.
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"pcie-root-port", "pcie-root-port"},
      {"pcie-to-pci-bridge", "pcie-pci-bridge"},
      {"pci-bridge", "pci-bridge"},
      {"dmi-to-pci-bridge", "i82801b11-bridge"},
      {"pcie-switch-upstream-port", "x3130-upstream"},
      {"pcie-switch-downstream-port", "xio3130-downstream"},
  };
  US_CHECK(only(e, "type index model ports", "model target master driver address alias"));
  VmController c;
  c.type = e.attribute("type");
  c.model = e.attribute("model");
  US_TRY(c.index, number32(e.attribute("index")));
  US_TRY(c.address, read_address(e));
  if (c.type == "fdc") return refuse("a floppy controller", text_of(kRemove));
  if (const Element* model = e.child("model")) {
    const std::string_view name = model->attribute("name");
    if (std::none_of(std::begin(kNames), std::end(kNames),
                     [&](const auto& n) { return n.first == c.model && n.second == name; }))
      return refuse("a pci controller " + text_of(name), text_of(kRemove));
  }
  if (const Element* target = e.child("target")) {
    US_CHECK(only(*target, "chassisNr chassis port", ""));
    US_TRY(c.chassis,
           number32(target->attribute(target->attribute("chassis").empty() ? "chassisNr" : "chassis")));
    US_TRY(c.port, number32(target->attribute("port")));
  }
  if (!e.attribute("ports").empty()) {
    US_TRY(c.port, number32(e.attribute("ports")));
  }
  // A companion of an ich9 controller has its place in the group by its number.
  if (const Element* master = e.child("master")) {
    const std::string_view port = master->attribute("startport");
    const bool usual = (c.model == "ich9-uhci1" && port == "0") || (c.model == "ich9-uhci2" && port == "2") ||
                       (c.model == "ich9-uhci3" && port == "4");
    if (!usual) return refuse("a USB companion controller at port " + text_of(port), text_of(kRemove));
  }
  definition.controllers.push_back(std::move(c));
  return {};
}

Status read_devices(const Element& devices, VmDefinition& definition, std::vector<DiskSite>& sites) {
  for (const Element& e : devices.children) {
    if (has_word("emulator audio redirfilter", e.name) || is_mirror(e)) continue;  // of the site
    Status status;
    if (e.name == "disk")
      status = read_disk(e, definition, sites);
    else if (e.name == "interface")
      status = read_nic(e, definition);
    else if (e.name == "controller")
      status = read_controller(e, definition);
    else if (e.name == "graphics")
      status = read_graphics(e, definition);
    else
      status = read_simple(e, definition);
    US_CHECK(status);
  }
  return {};
}

}  // namespace understudy::hypervisor
