#include <algorithm>
#include <charconv>

#include "hypervisor/definition_parts.h"

namespace understudy::hypervisor {
namespace {

constexpr std::string_view kRead =
    "name uuid genid title description memory currentMemory vcpu os features cpu clock on_poweroff on_reboot "
    "on_crash pm "
    "devices";
constexpr std::string_view kOfTheSite =
    "metadata iothreads iothreadids defaultiothread cputune numatune memtune blkiotune resource "
    "memoryBacking "
    "on_lockfailure seclabel perf throttlegroups";

Status read_identity(const Element& domain, VmDefinition& d) {
  d.name = domain.text_at("name");
  US_TRY(d.id, Uuid::parse(domain.text_at("uuid")));
  d.title = domain.text_at("title");
  d.description = domain.text_at("description");
  d.type = domain.attribute("type");
  if (domain.child("genid") != nullptr) d.features.push_back("genid=new");
  return {};
}

Status read_size(const Element& domain, VmDefinition& d) {
  for (const std::string_view name : {"memory", "currentMemory"}) {
    const std::string_view unit = domain.attribute_at(name, "unit");
    if (!unit.empty() && unit != "KiB") return refuse("memory in unit " + std::string(unit));
  }
  US_TRY(d.memory_kib, number(domain.text_at("memory")));
  US_TRY(d.current_memory_kib, number(domain.text_at("currentMemory"), d.memory_kib));
  US_TRY(d.vcpus, number32(domain.text_at("vcpu"), 1));
  US_TRY(d.current_vcpus, number32(domain.attribute_at("vcpu", "current"), d.vcpus));
  return {};
}

Status read_loader(const Element& loader, FirmwareSite& site) {
  US_CHECK(only(loader, "readonly secure type format", ""));
  const std::string_view type = loader.attribute("type"), format = loader.attribute("format");
  if (type == "rom")
    return refuse("a boot ROM of the host", "remove <loader>, or use <os firmware='efi'>: virsh edit NAME");
  if (loader.attribute("readonly") == "no")
    return refuse("firmware that it may write", "use <os firmware='efi'>: virsh edit NAME");
  if (!format.empty() && format != "raw")
    return refuse("firmware in " + std::string(format), "use <os firmware='efi'>: virsh edit NAME");
  site.loader = loader.text;
  site.secure_loader = loader.attribute("secure") == "yes";
  return {};
}

Status read_nvram_site(const Element& nvram, FirmwareSite& site) {
  US_CHECK(only(nvram, "template templateFormat type format", "source"));
  const std::string_view type = nvram.attribute("type"), format = nvram.attribute("format");
  if (!format.empty() && format != "raw") {
    return refuse(
        "NVRAM in " + std::string(format),
        "while it is off: qemu-img convert -O raw OLD NEW, and name NEW in <nvram>: virsh edit NAME");
  }
  if (!type.empty() && type != "file")
    return refuse("NVRAM on " + std::string(type), "keep it in a file: virsh edit NAME");
  site.nvram_template = nvram.attribute("template");
  return {};
}

Status read_firmware(const Element& os, VmDefinition& d, FirmwareSite& site) {
  const std::string_view chosen = os.attribute("firmware");
  if (!chosen.empty() && chosen != "efi")
    return refuse("<os firmware='" + std::string(chosen) + "'>", "remove the attribute: virsh edit NAME");
  if (const Element* loader = os.child("loader")) US_CHECK(read_loader(*loader, site));
  if (const Element* nvram = os.child("nvram")) US_CHECK(read_nvram_site(*nvram, site));
  if (!chosen.empty()) site.loader.clear();  // newer libvirt shows its choice
  if (!chosen.empty() || !site.loader.empty()) d.firmware = "efi";
  const Element* firmware = os.child("firmware");
  if (firmware == nullptr) return {};
  US_CHECK(only(*firmware, "", "feature"));
  for (const Element& e : firmware->children) {
    US_CHECK(only(e, "enabled name", ""));
    const bool enabled = e.attribute("enabled") == "yes";
    if (e.attribute("name") == "secure-boot")
      site.secure_boot = enabled;
    else if (e.attribute("name") == "enrolled-keys")
      site.enrolled_keys = enabled;
    else
      return refuse("the firmware feature " + std::string(e.attribute("name")),
                    "remove it from <firmware>: virsh edit NAME");
  }
  return {};
}

Status read_boot(const Element& os, VmDefinition& d, FirmwareSite& site) {
  US_CHECK(
      only(os, "firmware", "type loader nvram firmware kernel initrd cmdline boot bootmenu bios smbios"));
  US_CHECK(read_firmware(os, d, site));
  if (os.text_at("type") != "hvm") return refuse("os type " + std::string(os.text_at("type")));
  d.arch = os.attribute_at("type", "arch");
  d.machine = os.attribute_at("type", "machine");
  d.kernel = os.text_at("kernel");
  d.initrd = os.text_at("initrd");
  d.cmdline = os.text_at("cmdline");
  for (const Element& e : os.children) {
    if (e.name == "boot") d.boot_devices.emplace_back(e.attribute("dev"));
    if (e.name == "bootmenu") {
      US_CHECK(only(e, "enable", ""));
      d.features.push_back("bootmenu=" + std::string(e.attribute("enable")));
    }
    if (e.name == "bios") {
      US_CHECK(only(e, "useserial", ""));
      d.features.push_back("bios.useserial=" + std::string(e.attribute("useserial")));
    }
    if (e.name == "smbios" && e.attribute("mode") != "emulate") {
      return refuse("<smbios> data of its own", "remove <smbios> and <sysinfo>: virsh edit NAME");
    }
  }
  return {};
}

Status read_hyperv(const Element& hyperv, VmDefinition& d) {
  if (hyperv.attribute("mode") == "passthrough")
    return refuse("<hyperv mode='passthrough'>", "list the enlightenments: virsh edit NAME");
  for (const Element& e : hyperv.children) {
    const std::string name = "hyperv." + e.name;
    const std::string state(e.attribute("state"));
    if (e.name == "spinlocks") {
      US_CHECK(only(e, "state retries", ""));
      if (state == "on") d.features.push_back(name + "=" + std::string(e.attribute("retries")));
      continue;
    }
    US_CHECK(only(e, "state", e.name == "stimer" ? "direct" : ""));
    d.features.push_back(name + "=" + state);
    if (const Element* direct = e.child("direct"))
      d.features.push_back(name + ".direct=" + std::string(direct->attribute("state")));
  }
  return {};
}

Status read_features(const Element& features, VmDefinition& d) {
  for (const Element& e : features.children) {
    if (e.name == "acpi") {
      d.acpi = true;
    } else if (e.name == "pae") {
      d.pae = true;
    } else if (e.name == "apic") {
      d.apic = true;
      US_CHECK(only(e, "eoi", ""));
      if (!e.attribute("eoi").empty()) d.features.push_back("apic.eoi=" + std::string(e.attribute("eoi")));
    } else if (e.name == "hyperv") {
      US_CHECK(read_hyperv(e, d));
    } else if (e.name == "kvm") {
      for (const Element& k : e.children) {
        if (k.name == "dirty-ring") continue;  // of the site
        US_CHECK(only(k, "state", ""));
        d.features.push_back("kvm." + k.name + "=" + std::string(k.attribute("state")));
      }
    } else if (has_word("vmport smm pmu vmcoreinfo pvspinlock", e.name)) {
      US_CHECK(only(e, "state", ""));
      d.features.push_back(e.name + "=" +
                           std::string(e.attribute("state").empty() ? "on" : e.attribute("state")));
    } else if (e.name != "tcg") {
      return refuse("the feature <" + e.name + ">", "remove it from <features>: virsh edit NAME");
    }
  }
  return {};
}

Result<char> feature_policy(std::string_view policy) {
  constexpr std::pair<std::string_view, char> kPolicies[] = {
      {"", '+'}, {"require", '+'}, {"disable", '-'}, {"force", '!'}, {"optional", '?'}, {"forbid", '~'}};
  for (const auto& [name, mark] : kPolicies) {
    if (name == policy) return mark;
  }
  return refuse("cpu feature policy " + std::string(policy));
}

Status read_cpu(const Element& cpu, VmDefinition& d) {
  US_CHECK(only(cpu, "mode match check migratable", "model vendor topology feature"));
  const std::string_view match = cpu.attribute("match");
  if (!match.empty() && match != "exact")
    return refuse("<cpu match='" + std::string(match) + "'>", "use match='exact': virsh edit NAME");
  if (cpu.attribute("migratable") == "off")
    return refuse("<cpu migratable='off'>", "remove it: virsh edit NAME");
  d.cpu_mode = cpu.attribute("mode");
  d.cpu_check = cpu.attribute("check");
  if (d.cpu_mode.empty() || d.cpu_mode == "custom") {
    d.cpu_model = cpu.text_at("model");
    d.cpu_mode = d.cpu_model.empty() ? "" : "custom";
  }
  for (const Element& e : cpu.children) {
    if (e.name == "model") US_CHECK(only(e, "fallback", ""));
    if (e.name == "feature") {
      US_CHECK(only(e, "policy name", ""));
      US_TRY(const char policy, feature_policy(e.attribute("policy")));
      d.cpu_features.push_back(policy + std::string(e.attribute("name")));
    }
    if (e.name == "topology") {
      US_CHECK(only(e, "sockets dies clusters cores threads", ""));
      if (!e.attribute("clusters").empty() && e.attribute("clusters") != "1")
        return refuse("a cpu topology with clusters");
      US_TRY(d.sockets, number32(e.attribute("sockets"), 1));
      US_TRY(d.dies, number32(e.attribute("dies"), 1));
      US_TRY(d.cores, number32(e.attribute("cores"), 1));
      US_TRY(d.threads, number32(e.attribute("threads"), 1));
    }
  }
  return {};
}

Status read_clock(const Element& clock, VmDefinition& d) {
  d.clock_offset = clock.attribute("offset");
  if (d.clock_offset != "utc" && d.clock_offset != "localtime") {
    return refuse("<clock offset='" + d.clock_offset + "'>", "use utc or localtime: virsh edit NAME");
  }
  for (const Element& e : clock.children) {
    US_CHECK(only(e, "name tickpolicy present", ""));
    d.timers.push_back(std::string(e.attribute("name")) + ":" + std::string(e.attribute("tickpolicy")) + ":" +
                       std::string(e.attribute("present")));
  }
  return {};
}

Status read_pm(const Element& pm, VmDefinition& d) {
  US_CHECK(only(pm, "", "suspend-to-mem suspend-to-disk"));
  for (const Element& e : pm.children)
    d.features.push_back("pm." + e.name + "=" + std::string(e.attribute("enabled")));
  return {};
}

Status read_all(const Element& domain, DomainReading& reading) {
  VmDefinition& d = reading.definition;
  US_CHECK(read_identity(domain, d));
  if (const Element* sysinfo = domain.child("sysinfo")) {
    return refuse("<sysinfo type='" + std::string(sysinfo->attribute("type")) + "'>",
                  "remove it: virsh edit NAME");
  }
  US_CHECK(only(domain, "type id", std::string(kRead) + " " + std::string(kOfTheSite)));
  US_CHECK(read_size(domain, d));
  d.acpi = d.apic = d.pae = false;
  d.clock_offset = "utc";
  for (const Element& e : domain.children) {
    Status status;
    if (e.name == "os") status = read_boot(e, d, reading.firmware);
    if (e.name == "features") status = read_features(e, d);
    if (e.name == "cpu") status = read_cpu(e, d);
    if (e.name == "clock") status = read_clock(e, d);
    if (e.name == "pm") status = read_pm(e, d);
    if (e.name == "on_poweroff") d.on_poweroff = e.text;
    if (e.name == "on_reboot") d.on_reboot = e.text;
    if (e.name == "on_crash") d.on_crash = e.text;
    if (e.name == "devices") status = read_devices(e, d, reading.disks);
    US_CHECK(status);
  }
  std::sort(d.features.begin(), d.features.end());
  VmDefinition sized = d;  // the document does not say how large the disks are
  for (VmDisk& disk : sized.disks) disk.size = 512;
  return check(sized);
}

Error named(const Error& error, const std::string& name) {
  std::string hint = error.hint();
  for (size_t at = hint.find("NAME"); at != std::string::npos; at = hint.find("NAME", at + name.size()))
    hint.replace(at, 4, name);
  return error.context("VM " + name).with_hint(hint);
}

}  // namespace

tl::unexpected<Error> refuse(std::string what, std::string way_out) {
  return fail(ErrorCode::not_supported, "it has " + what + ", which cannot be replicated",
              std::move(way_out));
}

bool has_word(std::string_view list, std::string_view word) {
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(' ', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

Status only(const Element& element, std::string_view attributes, std::string_view children) {
  for (const auto& [name, value] : element.attributes) {
    if (has_word(attributes, name)) continue;
    return refuse("<" + element.name + " " + name + "='" + value + "'>",
                  "remove the attribute: virsh edit NAME");
  }
  for (const Element& e : element.children) {
    if (has_word(children, e.name)) continue;
    return refuse("<" + e.name + "> in <" + element.name + ">", "remove the element: virsh edit NAME");
  }
  return {};
}

Result<uint64_t> number(std::string_view text, uint64_t missing) {
  if (text.empty()) return missing;
  const bool hex = text.substr(0, 2) == "0x";
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
  if (error != std::errc() || stop != end)
    return fail(ErrorCode::corrupt, "'" + std::string(text) + "' is no number");
  return value;
}

Result<uint32_t> number32(std::string_view text, uint32_t missing) {
  US_TRY(const uint64_t value, number(text, missing));
  if (value > UINT32_MAX) return fail(ErrorCode::corrupt, "'" + std::string(text) + "' is too large");
  return static_cast<uint32_t>(value);
}

Result<DomainReading> read_domain(std::string_view domain_xml) {
  US_TRY(const Element domain, parse_xml(domain_xml));
  if (domain.name != "domain") return fail(ErrorCode::corrupt, "this is no domain XML");
  DomainReading reading;
  if (Status status = read_all(domain, reading); !status) {
    return fail(named(status.error(), std::string(domain.text_at("name"))));
  }
  return reading;
}

Result<std::vector<DiskSite>> read_disks(std::string_view domain_xml) {
  US_TRY(const Element domain, parse_xml(domain_xml));
  const Element* devices = domain.child("devices");
  std::vector<DiskSite> sites;
  if (devices == nullptr) return sites;
  VmDefinition unused;
  for (const Element& e : devices->children) {
    if (e.name == "disk") US_CHECK(read_disk(e, unused, sites));
  }
  return sites;
}

bool is_replica_domain(std::string_view domain_xml) {
  const Result<Element> domain = parse_xml(domain_xml);
  const Element* metadata = domain ? domain->child("metadata") : nullptr;
  if (metadata == nullptr) return false;
  return std::any_of(metadata->children.begin(), metadata->children.end(), [](const Element& e) {
    return e.space == kNamespace && e.name.substr(e.name.find(':') + 1) == "replica";
  });
}

}  // namespace understudy::hypervisor
