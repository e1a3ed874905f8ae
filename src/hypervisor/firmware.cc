#include "hypervisor/firmware.h"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/limits.h"
#include "hypervisor/small_file.h"
#include "model/json.h"

namespace understudy::hypervisor {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostDescriptor = 64 << 10;
constexpr size_t kMostDescriptors = 256;

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The file of one part of a flash mapping, which must be raw.
Result<std::string> raw_file(const JsonObject& mapping, std::string_view part) {
  US_TRY(const JsonObject file, mapping.object(part));
  US_TRY(const std::string format, file.text("format"));
  if (format != "raw") return fail(ErrorCode::not_supported, "firmware in " + format);
  return file.text("filename");
}

Result<Firmware> parse_descriptor(std::string_view text) {
  US_TRY(const JsonObject descriptor, JsonObject::parse(text, kMostDescriptor));
  US_TRY(const std::vector<std::string> interfaces, descriptor.texts("interface-types"));
  US_TRY(const JsonObject mapping, descriptor.object("mapping"));
  US_TRY(const std::string device, mapping.text("device"));
  const std::string mode = mapping.text("mode").value_or("split");
  if (!has(interfaces, "uefi") || device != "flash" || mode != "split")
    return fail(ErrorCode::not_supported, "no UEFI firmware with NVRAM");
  Firmware firmware;
  US_TRY(firmware.executable, raw_file(mapping, "executable"));
  US_TRY(firmware.nvram_template, raw_file(mapping, "nvram-template"));
  US_TRY(const std::vector<std::string> features, descriptor.texts("features"));
  firmware.secure_boot = has(features, "secure-boot");
  firmware.enrolled_keys = has(features, "enrolled-keys");
  firmware.requires_smm = has(features, "requires-smm");
  US_TRY(const std::vector<JsonObject> targets, descriptor.objects("targets"));
  for (const JsonObject& target : targets) {
    US_TRY(const std::string architecture, target.text("architecture"));
    US_TRY(const std::vector<std::string> machines, target.texts("machines"));
    for (const std::string& machine : machines) firmware.targets.emplace_back(architecture, machine);
  }
  return firmware;
}

bool fits_machine(const Firmware& firmware, const VmDefinition& d) {
  if (firmware.requires_smm && has(d.features, "smm=off")) return false;
  return std::any_of(firmware.targets.begin(), firmware.targets.end(), [&](const auto& target) {
    return target.first == d.arch && ::fnmatch(target.second.c_str(), d.machine.c_str(), 0) == 0;
  });
}

bool fits_site(const Firmware& firmware, const FirmwareSite& site) {
  if (!site.loader.empty())
    return site.loader == firmware.executable &&
           (site.nvram_template.empty() || site.nvram_template == firmware.nvram_template);
  return site.secure_boot.value_or(firmware.secure_boot) == firmware.secure_boot &&
         site.enrolled_keys.value_or(firmware.enrolled_keys) == firmware.enrolled_keys &&
         (!site.secure_loader || firmware.requires_smm);
}

uint64_t size_of(const std::string& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

}  // namespace

std::vector<Firmware> host_firmware(const std::vector<std::string>& directories) {
  std::map<std::string, std::string> paths;
  for (const std::string& directory : directories) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, error))
      if (entry.path().extension() == ".json" && paths.size() < kMostDescriptors)
        paths.emplace(entry.path().filename(), entry.path());
  }
  std::vector<Firmware> known;
  for (const auto& [name, path] : paths) {
    const Result<std::string> text = read_file(path, kMostDescriptor);
    if (!text) continue;
    if (Result<Firmware> firmware = parse_descriptor(*text)) known.push_back(std::move(*firmware));
  }
  return known;
}

Status resolve_firmware(VmDefinition& definition, const FirmwareSite& site,
                        const std::vector<Firmware>& known) {
  if (definition.firmware.empty()) return {};
  const auto found = std::find_if(known.begin(), known.end(), [&](const Firmware& firmware) {
    return fits_site(firmware, site) && fits_machine(firmware, definition);
  });
  if (found == known.end()) {
    const std::string what = site.loader.empty() ? "UEFI firmware" : "the firmware " + site.loader;
    return fail(ErrorCode::not_supported,
                "VM " + definition.name + " has " + what +
                    ", of which no descriptor of this host in /usr/share/qemu/firmware says what it can do",
                site.loader.empty() ? "apt install ovmf"
                                    : "let libvirt choose: virsh edit " + definition.name +
                                          ": <os firmware='efi'>, no <loader>");
  }
  definition.secure_boot = found->secure_boot;
  definition.enrolled_keys = found->enrolled_keys;
  return {};
}

Status check_firmware(const VmDefinition& definition, const std::vector<Firmware>& known,
                      uint64_t nvram_size) {
  if (definition.firmware.empty()) return {};
  uint64_t other_size = 0;
  for (const Firmware& firmware : known) {
    if (firmware.secure_boot != definition.secure_boot ||
        firmware.enrolled_keys != definition.enrolled_keys || !fits_machine(firmware, definition))
      continue;
    other_size = size_of(firmware.nvram_template);
    if (nvram_size == 0 || other_size == nvram_size) return {};
    break;  // libvirt takes the first that fits
  }
  if (other_size != 0) {
    return fail(ErrorCode::not_supported,
                "the firmware of " + definition.name + " stores " + std::to_string(nvram_size) +
                    " bytes, this host's " + std::to_string(other_size),
                "install the same version of ovmf on both hosts");
  }
  return fail(ErrorCode::not_supported,
              "this host has no UEFI firmware " +
                  std::string(definition.secure_boot ? "with Secure Boot" : "without Secure Boot") +
                  (definition.enrolled_keys ? " and enrolled keys" : "") + " for a " + definition.machine +
                  " machine, as " + definition.name + " has",
              "apt install ovmf");
}

std::string nvram_path(const Element& domain, const std::string& folder) {
  const Element* os = domain.child("os");
  if (os == nullptr || (os->attribute("firmware") != "efi" && os->attribute_at("loader", "type") != "pflash"))
    return {};
  std::string path(os->attribute_at("nvram/source", "file"));
  if (path.empty()) path = os->text_at("nvram");
  if (path.empty()) path = folder + "/" + std::string(domain.text_at("name")) + "_VARS.fd";
  return path;
}

Result<Bytes> read_nvram(const std::string& path) {
  const Result<std::string> content = read_file(path, limits::kMostNvram);
  if (!content && content.error().code() == ErrorCode::not_found) return Bytes();
  if (!content) return fail(content.error());
  if (content->rfind("QFI\xfb", 0) == 0) {
    return fail(ErrorCode::not_supported, "the NVRAM " + path + " is a qcow2 image",
                "while the VM is off: qemu-img convert -O raw " + path + " NEW, and name NEW in <nvram>");
  }
  const ByteView bytes = as_bytes(*content);
  return Bytes(bytes.begin(), bytes.end());
}

}  // namespace understudy::hypervisor
