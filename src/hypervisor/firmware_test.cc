#include "hypervisor/firmware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/limits.h"
#include "hypervisor/definition_fixture.h"

namespace understudy::hypervisor {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Descriptors as Debian's, and the files that they name.
class FirmwareTest : public ::testing::Test {
 protected:
  FirmwareTest() {
    std::string name = (fs::temp_directory_path() / "firmware-test-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    fs::create_directories(root_ / "etc");
    fs::create_directories(root_ / "usr");
    describe("usr/40-enrolled.json", "ms", "\"enrolled-keys\", \"requires-smm\", \"secure-boot\"",
             "pc-q35-*");
    describe("usr/50-secure.json", "secboot", "\"requires-smm\", \"secure-boot\"", "pc-q35-*");
    describe("usr/60-plain.json", "plain", "\"acpi-s3\"", "pc-i440fx-*\", \"pc-q35-*");
  }
  ~FirmwareTest() override { fs::remove_all(root_); }

  std::string code(const std::string& kind) const { return root_ / (kind + ".code"); }
  std::string vars(const std::string& kind) const { return root_ / (kind + ".vars"); }
  void describe(const std::string& file, const std::string& kind, const std::string& features,
                const std::string& machines, const std::string& more = {}) const {
    std::ofstream(vars(kind)) << std::string(kind.size(), 'v');
    std::ofstream(root_ / file) << R"({"description": "x", "interface-types": ["uefi"], "tags": [],
      "mapping": {"device": "flash", )"
                                << more << R"("executable": {"filename": ")" << code(kind)
                                << R"(", "format": "raw"},
        "nvram-template": {"filename": ")"
                                << vars(kind) << R"(", "format": "raw"}},
      "targets": [{"architecture": "x86_64", "machines": [")"
                                << machines << R"("]}], "features": [)" << features << "]}";
  }
  std::vector<Firmware> known() const { return host_firmware({root_ / "etc", root_ / "usr"}); }

  // A guest with this inside <os>, resolved.
  Result<VmDefinition> resolved(const std::string& os, const std::string& features = {}) const {
    std::string xml = kRichDomain;
    const std::string old = "<os>";
    xml.replace(xml.find(old), old.size(), os);
    const std::string mark = "<acpi/>";
    xml.insert(xml.find(mark), features);
    US_TRY(DomainReading reading, read_domain(xml));
    US_CHECK(resolve_firmware(reading.definition, reading.firmware, known()));
    for (VmDisk& disk : reading.definition.disks) disk.size = 1 << 30;
    US_CHECK(check(reading.definition));
    return reading.definition;
  }
  std::string flags(const std::string& os, const std::string& features = {}) const {
    const Result<VmDefinition> d = resolved(os, features);
    if (!d) return d.error().text();
    return d->firmware + (d->secure_boot ? " secure" : "") + (d->enrolled_keys ? " enrolled" : "");
  }

  fs::path root_;
};

TEST_F(FirmwareTest, KnowsWhatTheHostHasInOrder) {
  std::vector<Firmware> all = known();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_TRUE(all[0].secure_boot && all[0].enrolled_keys && all[0].requires_smm);
  EXPECT_EQ(all[0].executable, code("ms"));
  EXPECT_EQ(all[2].nvram_template, vars("plain"));
  describe("etc/50-secure.json", "other", "", "pc-q35-*");
  std::ofstream(root_ / "etc/40-enrolled.json").flush();  // so an administrator hides one
  all = known();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].executable, code("other"));
}

TEST_F(FirmwareTest, LeavesOutWhatLibvirtWouldNotTake) {
  describe("usr/41.json", "a", "", "pc-q35-*", R"("mode": "stateless", )");
  std::ofstream(root_ / "usr/42.json") << R"({"interface-types": ["bios"]})";
  std::ofstream(root_ / "usr/43.json") << "{";
  std::ofstream(root_ / "usr/44.json") << std::string(100000, ' ');
  fs::create_directory(root_ / "usr/45.json");
  EXPECT_EQ(known().size(), 3u);
  EXPECT_TRUE(host_firmware({root_ / "no/such/folder"}).empty());
}

TEST_F(FirmwareTest, AGuestGetsTheFlagsOfItsFirmware) {
  EXPECT_EQ(flags("<os>"), "");
  EXPECT_EQ(flags("<os firmware='efi'>"), "efi secure enrolled") << "the first, as libvirt takes it";
  EXPECT_EQ(flags("<os firmware='efi'>", "<smm state='off'/>"), "efi");
  const std::string no_keys = "<firmware><feature enabled='no' name='enrolled-keys'/></firmware>";
  const std::string not_secure = "<firmware><feature enabled='no' name='secure-boot'/></firmware>";
  EXPECT_EQ(flags("<os firmware='efi'>" + no_keys), "efi secure");
  EXPECT_EQ(flags("<os firmware='efi'>" + not_secure), "efi");
  EXPECT_THAT(flags("<os firmware='efi'>" + not_secure + "<loader secure='yes'/>"), HasSubstr("ovmf"));
  EXPECT_EQ(flags("<os firmware='efi'><nvram>/n.fd</nvram>"), "efi secure enrolled");
  EXPECT_EQ(flags("<os firmware='efi'><nvram type='file'><source file='/n.fd'/></nvram>"),
            "efi secure enrolled");
}

TEST_F(FirmwareTest, APathIsMappedOrRefused) {
  const auto loader = [](const std::string& path) {
    return "<os><loader readonly='yes' type='pflash'>" + path + "</loader>";
  };
  EXPECT_EQ(flags(loader(code("plain"))), "efi");
  EXPECT_EQ(flags(loader(code("secboot"))), "efi secure");
  EXPECT_EQ(flags(loader(code("ms")) + "<nvram template='" + vars("ms") + "'>/n.fd</nvram>"),
            "efi secure enrolled");
  const std::string mixed = flags(loader(code("plain")) + "<nvram template='/x.fd'>/n.fd</nvram>");
  EXPECT_THAT(mixed, HasSubstr(code("plain")));
  const std::string refused = flags(loader("/home/me/OVMF.fd"));
  EXPECT_THAT(refused, HasSubstr("the firmware /home/me/OVMF.fd"));
  EXPECT_THAT(refused, HasSubstr("virsh edit rich: <os firmware='efi'>"));
}

TEST_F(FirmwareTest, TheReplicasHostMustHaveTheSame) {
  VmDefinition d = resolved("<os firmware='efi'>").value();
  EXPECT_TRUE(check_firmware(d, known(), 0));
  EXPECT_TRUE(check_firmware(d, known(), 2)) << "the size of its template";
  const Status size = check_firmware(d, known(), 3);
  ASSERT_FALSE(size);
  EXPECT_THAT(size.error().message(), HasSubstr("stores 3 bytes, this host's 2"));
  const Status none = check_firmware(d, {}, 0);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().text(), HasSubstr("no UEFI firmware with Secure Boot and enrolled keys"));
  EXPECT_THAT(none.error().hint(), HasSubstr("apt install ovmf"));
  d.machine = "pc-i440fx-7.2";
  EXPECT_FALSE(check_firmware(d, known(), 0)) << "Secure Boot needs a q35";
  EXPECT_TRUE(check_firmware(resolved("<os>").value(), {}, 0));
}

TEST_F(FirmwareTest, TheReplicasDomainReadsBackAsTheSameDefinition) {
  for (const char* os :
       {"<os firmware='efi'>",
        "<os firmware='efi'><firmware><feature enabled='no' name='secure-boot'/></firmware>"}) {
    const VmDefinition d = resolved(os).value();
    ReplicaSite site;
    site.nvram = "/store/nvram & co.fd";
    for (const VmDisk& disk : d.disks) site.disk_paths.push_back("/store/" + disk.target + ".qcow2");
    for (const VmNic& nic : d.nics) site.networks[nic.network] = nic.network;
    const std::string xml = write_domain(d, site);
    EXPECT_EQ(xml.find("loader"), std::string::npos);
    Result<DomainReading> again = read_domain(xml);
    ASSERT_TRUE(again) << again.error().text() << xml;
    ASSERT_TRUE(resolve_firmware(again->definition, again->firmware, known()));
    for (VmDisk& disk : again->definition.disks) disk.size = 1 << 30;
    EXPECT_EQ(again->definition, d);
    EXPECT_EQ(nvram_path(parse_xml(xml).value(), "/folder"), site.nvram);
  }
}

TEST_F(FirmwareTest, FindsTheNvramOfEveryFormOfDomain) {
  const auto path = [](const std::string& os) {
    return nvram_path(parse_xml("<domain><name>vm</name>" + os + "</os></domain>").value(), "/folder");
  };
  EXPECT_EQ(path("<os>"), "");
  EXPECT_EQ(path("<os><loader type='rom'>/x</loader>"), "");
  EXPECT_EQ(path("<os firmware='efi'>"), "/folder/vm_VARS.fd");
  EXPECT_EQ(path("<os><loader type='pflash'>/x</loader><nvram template='/t'>/n.fd</nvram>"), "/n.fd");
  EXPECT_EQ(path("<os firmware='efi'><nvram type='file'><source file='/s.fd'/></nvram>"), "/s.fd");
}

TEST_F(FirmwareTest, ReadsNvram) {
  const std::string path = root_ / "nvram.fd";
  EXPECT_TRUE(read_nvram(path).value().empty()) << "not there: the VM has not started yet";
  std::string bytes = "a";
  bytes += '\0';
  bytes += "\xff";
  std::ofstream(path) << bytes;
  EXPECT_EQ(as_text(read_nvram(path).value()), bytes);
  std::ofstream(path) << "QFI\xfb rest";
  const Result<Bytes> qcow2 = read_nvram(path);
  ASSERT_FALSE(qcow2);
  EXPECT_THAT(qcow2.error().hint(), HasSubstr("qemu-img convert -O raw"));
  fs::resize_file(path, limits::kMostNvram + 1);
  EXPECT_EQ(read_nvram(path).error().code(), ErrorCode::too_large);
}

}  // namespace
}  // namespace understudy::hypervisor
