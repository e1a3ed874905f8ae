#include "hypervisor/definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/definition_fixture.h"
#include "hypervisor/element.h"

namespace understudy::hypervisor {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string with(std::string xml, std::string_view old_text, std::string_view new_text) {
  const size_t at = xml.find(old_text);
  EXPECT_NE(at, std::string::npos) << old_text;
  return at == std::string::npos ? xml : xml.replace(at, old_text.size(), new_text);
}

DomainReading rich() {
  Result<DomainReading> reading = read_domain(kRichDomain);
  EXPECT_TRUE(reading) << reading.error().text();
  if (!reading) return {};
  for (VmDisk& disk : reading->definition.disks) disk.size = 1 << 30;
  return *reading;
}

ReplicaSite site_of(const VmDefinition& d) {
  ReplicaSite site;
  for (const VmDisk& disk : d.disks) site.disk_paths.push_back("/store/" + disk.target + ".qcow2");
  for (const VmNic& nic : d.nics) site.networks[nic.network] = nic.network;
  return site;
}

TEST(ReadDomain, TakesWhatTheGuestSees) {
  const VmDefinition d = rich().definition;
  EXPECT_EQ(d.name, "rich");
  EXPECT_EQ(d.id.lower(), "11111111-2222-3333-4444-555555555555");
  EXPECT_EQ(d.title, "a title");
  EXPECT_EQ(d.machine, "pc-q35-7.2");
  EXPECT_EQ(d.memory_kib, 262144u);
  EXPECT_EQ(d.current_memory_kib, 131072u);
  EXPECT_EQ(d.vcpus, 4u);
  EXPECT_EQ(d.current_vcpus, 1u);
  EXPECT_EQ(d.cores, 2u);
  EXPECT_THAT(d.cpu_features, ElementsAre("+aes", "-svm"));
  EXPECT_THAT(d.boot_devices, ElementsAre("hd", "network"));
  EXPECT_THAT(d.timers, ElementsAre("rtc:catchup:", "pit:delay:", "hpet::no"));
  EXPECT_THAT(d.features, ElementsAre("bootmenu=yes", "genid=new", "hyperv.relaxed=on",
                                      "hyperv.spinlocks=8191", "hyperv.vapic=on", "kvm.hidden=on",
                                      "pm.suspend-to-disk=no", "pm.suspend-to-mem=no", "vmport=off"));
  EXPECT_THAT(d.cdroms, ElementsAre("sdb:sata"));
  ASSERT_EQ(d.disks.size(), 2u);
  EXPECT_EQ(d.disks[0].address, "pci:0000:08:00.0");
  EXPECT_EQ(d.disks[0].serial, "abc");
  EXPECT_TRUE(d.disks[0].discard);
  EXPECT_EQ(d.disks[1].address, "drive:0:0:0:0");
  ASSERT_EQ(d.nics.size(), 3u);
  EXPECT_EQ(d.nics[1].network, "br7");
  EXPECT_FALSE(d.nics[1].link_up);
  EXPECT_EQ(d.nics[2].network, "");
}

TEST(ReadDomain, ListsEveryDiskAndSaysWhyOneCannotBeReplicated) {
  const DomainReading reading = rich();
  ASSERT_EQ(reading.disks.size(), 3u);
  EXPECT_EQ(reading.disks[0].path, "/var/lib/libvirt/images/r1.qcow2");
  EXPECT_EQ(reading.disks[0].refusal, "");
  EXPECT_EQ(reading.disks[2].refusal, "is raw");
  EXPECT_THAT(reading.disks[2].way_out, HasSubstr("qemu-img convert -O qcow2"));
}

TEST(WriteDomain, ReadsBackAsTheSameDefinition) {
  const VmDefinition d = rich().definition;
  const std::string xml = write_domain(d, site_of(d));
  Result<DomainReading> again = read_domain(xml);
  ASSERT_TRUE(again) << again.error().text() << xml;
  for (VmDisk& disk : again->definition.disks) disk.size = 1 << 30;
  EXPECT_EQ(again->definition.disks, d.disks);
  EXPECT_EQ(again->definition.controllers, d.controllers);
  EXPECT_EQ(again->definition.devices, d.devices);
  EXPECT_EQ(again->definition.nics, d.nics);
  EXPECT_EQ(again->definition, d);
}

TEST(WriteDomain, MarksTheDomainAsOursAndLeavesTheSiteOut) {
  const VmDefinition d = rich().definition;
  const std::string xml = write_domain(d, site_of(d));
  EXPECT_TRUE(is_replica_domain(xml));
  EXPECT_FALSE(is_replica_domain(kRichDomain));
  EXPECT_THAT(xml, HasSubstr("relabel=\"no\""));
  EXPECT_THAT(xml, Not(HasSubstr("emulator")));
  EXPECT_THAT(xml, Not(HasSubstr("images/r1")));
  EXPECT_THAT(xml, Not(HasSubstr("iothreads")));
  EXPECT_THAT(xml, Not(HasSubstr("startupPolicy")));
  EXPECT_THAT(xml, Not(HasSubstr("99999999")));
}

TEST(WriteDomain, EscapesTextOfTheSender) {
  VmDefinition d = rich().definition;
  d.name = "a&b";
  d.description = "</description><devices><emulator>/bin/sh</emulator></devices>";
  d.cmdline = "a='\"<b>";
  d.kernel = "/boot/vmlinuz";
  ASSERT_TRUE(check(d));
  const Result<Element> parsed = parse_xml(write_domain(d, site_of(d)));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->text_at("name"), d.name);
  EXPECT_EQ(parsed->text_at("description"), d.description);
  EXPECT_EQ(parsed->text_at("os/cmdline"), d.cmdline);
  EXPECT_EQ(parsed->at("devices/emulator"), nullptr);
}

TEST(WriteDomain, UnplugsACardWhoseNetworkIsNotKnownHere) {
  const VmDefinition d = rich().definition;
  ReplicaSite site = site_of(d);
  site.networks = {{"br7", "office"}};
  const Result<Element> parsed = parse_xml(write_domain(d, site));
  ASSERT_TRUE(parsed);
  std::vector<const Element*> nics;
  for (const Element& e : parsed->at("devices")->children) {
    if (e.name == "interface") nics.push_back(&e);
  }
  ASSERT_EQ(nics.size(), 3u);
  EXPECT_EQ(nics[0]->attribute("type"), "user");
  EXPECT_EQ(nics[0]->attribute_at("link", "state"), "down");
  EXPECT_EQ(nics[1]->attribute_at("source", "network"), "office");
  EXPECT_EQ(nics[2]->at("link"), nullptr) << "user-mode networking needs no network of the host";
}

TEST(WriteDomain, GivesTheFirstSerialPortALog) {
  const VmDefinition d = rich().definition;
  ReplicaSite site = site_of(d);
  site.serial_log = "/var/log/x.console";
  EXPECT_THAT(write_domain(d, site), HasSubstr("<log file=\"/var/log/x.console\" append=\"on\"/>"));
}

struct Hostile {
  const char* name;
  const char* old_text;
  const char* new_text;
  const char* says;
};
constexpr Hostile kHostile[] = {
    {"hostdev", "<panic model='isa'/>", "<hostdev mode='subsystem' type='pci'/>", "passed through"},
    {"filesystem", "<panic model='isa'/>", "<filesystem type='mount'/>", "folder of this host"},
    {"shmem", "<panic model='isa'/>", "<shmem name='x'/>", "shmem"},
    {"vtpm", "<panic model='isa'/>", "<tpm model='tpm-crb'/>", "TPM"},
    {"vsock", "<panic model='isa'/>", "<vsock model='virtio'/>", "vsock"},
    {"unknown_device", "<panic model='isa'/>", "<teleporter/>", "teleporter"},
    {"commandline", "</devices>",
     "</devices><qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>",
     "qemu:commandline"},
    {"override", "</devices>",
     "</devices><qemu:override xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>", "qemu:override"},
    {"launch_security", "</devices>", "</devices><launchSecurity type='sev'/>", "launchSecurity"},
    {"max_memory", "<currentMemory", "<maxMemory slots='2' unit='KiB'>524288</maxMemory><currentMemory",
     "maxMemory"},
    {"rom", "<boot dev='hd'/>", "<loader type='rom'>/usr/share/seabios/bios.bin</loader>", "boot ROM"},
    {"bios_attribute", "<os>", "<os firmware='bios'>", "<os firmware='bios'>"},
    {"stateless", "<os>", "<os firmware='efi'><loader stateless='yes'/>", "stateless"},
    {"writable_loader", "<boot dev='hd'/>", "<loader readonly='no' type='pflash'>/x.fd</loader>",
     "it may write"},
    {"loader_in_qcow2", "<os>", "<os firmware='efi'><loader format='qcow2'/>", "firmware in qcow2"},
    {"nvram_in_qcow2", "<os>", "<os firmware='efi'><nvram format='qcow2'>/x.qcow2</nvram>",
     "qemu-img convert -O raw"},
    {"nvram_on_network", "<os>", "<os firmware='efi'><nvram type='network'/>", "keep it in a file"},
    {"firmware_feature", "<os>",
     "<os firmware='efi'><firmware><feature enabled='yes' name='teleport'/></firmware>", "teleport"},
    {"kernel_elsewhere", "<boot dev='hd'/>", "<kernel>/etc/shadow</kernel>", "/var/lib/libvirt/boot"},
    {"kernel_climbs", "<boot dev='hd'/>", "<kernel>/boot/../etc/shadow</kernel>", "/var/lib/libvirt/boot"},
    {"sysinfo", "<cpu mode", "<sysinfo type='smbios'/><cpu mode", "sysinfo"},
    {"numa", "<topology", "<numa><cell id='0' cpus='0-3' memory='262144'/></numa><topology", "numa"},
    {"cpu_match", "match='exact'", "match='minimum'", "match"},
    {"clock", "<clock offset='utc'>", "<clock offset='variable' adjustment='7'>", "variable"},
    {"vhostuser", "<interface type='user'>", "<interface type='vhostuser'>", "vhostuser"},
    {"mtu", "<model type='rtl8139'/>", "<model type='rtl8139'/><mtu size='9000'/>", "mtu"},
    {"nic_model", "rtl8139", "vmxnet3", "vmxnet3"},
    {"channel_name", "org.qemu.guest_agent.0", "org.evil.0", "org.evil.0"},
    {"video_accel", "heads='1' primary='yes'/>", "heads='1'><acceleration accel3d='yes'/></model>", "3D"},
    {"root_port_model", "<model name='pcie-root-port'/>", "<model name='ioh3420'/>", "ioh3420"},
    {"input_evdev", "<input type='tablet' bus='usb'>", "<input type='evdev' bus='usb'>", "evdev"},
    {"feature", "<vmport state='off'/>", "<ibs value='fixed-na'/>", "<ibs>"},
    {"hyperv_vendor", "<relaxed state='on'/>", "<vendor_id state='on' value='x'/>", "value="},
};

class HostileDomain : public ::testing::TestWithParam<Hostile> {};
TEST_P(HostileDomain, IsRefusedByName) {
  const Result<DomainReading> reading =
      read_domain(with(kRichDomain, GetParam().old_text, GetParam().new_text));
  ASSERT_FALSE(reading);
  EXPECT_THAT(reading.error().text(), HasSubstr(GetParam().says));
  EXPECT_THAT(reading.error().message(), HasSubstr("VM rich"));
  EXPECT_THAT(reading.error().text(), Not(HasSubstr("NAME")));
}
INSTANTIATE_TEST_SUITE_P(All, HostileDomain, ::testing::ValuesIn(kHostile),
                         [](const auto& test) { return test.param.name; });

struct BadDisk {
  const char* name;
  const char* old_text;
  const char* new_text;
  const char* says;
};
constexpr BadDisk kBadDisks[] = {
    {"shareable", "<serial>abc</serial>", "<shareable/>", "shared"},
    {"transient", "<serial>abc</serial>", "<transient/>", "transient"},
    {"read_only", "<serial>abc</serial>", "<readonly/>", "read-only"},
    {"luks", "<serial>abc</serial>", "<encryption format='luks'/>", "plain text"},
    {"luks_in_source", "<source file='/var/lib/libvirt/images/r1.qcow2'/>",
     "<source file='/var/lib/libvirt/images/r1.qcow2'><encryption format='luks'/></source>", "plain text"},
    {"lun", "<disk type='file' device='disk'>", "<disk type='block' device='lun'>", "LUN"},
    {"block", "<disk type='file' device='disk'>", "<disk type='block' device='disk'>", "not a file"},
    {"network", "<disk type='file' device='disk'>", "<disk type='network' device='disk'>", "not a file"},
    {"block_size", "<serial>abc</serial>", "<blockio logical_block_size='4096'/>", "block sizes"},
    {"wwn", "<serial>abc</serial>", "<wwn>5000c50015ea71aa</wwn>", "WWN"},
    {"transitional", "<disk type='file' device='disk'>",
     "<disk type='file' device='disk' model='virtio-transitional'>", "model="},
    {"vmdk", "type='qcow2' cache='none'", "type='vmdk' cache='none'", "is vmdk"},
};
class DiskThatStays : public ::testing::TestWithParam<BadDisk> {};
TEST_P(DiskThatStays, IsListedWithTheReasonAndNotInTheDefinition) {
  const Result<DomainReading> reading =
      read_domain(with(kRichDomain, GetParam().old_text, GetParam().new_text));
  ASSERT_TRUE(reading) << reading.error().text();
  EXPECT_EQ(reading->definition.disks.size(), 1u);
  EXPECT_THAT(reading->disks[0].refusal, HasSubstr(GetParam().says));
  EXPECT_NE(reading->disks[0].way_out, "");
}
INSTANTIATE_TEST_SUITE_P(All, DiskThatStays, ::testing::ValuesIn(kBadDisks),
                         [](const auto& test) { return test.param.name; });

TEST(ReadDomain, AnswersDamagedXmlWithAnError) {
  const std::string xml = kRichDomain;
  for (size_t length = 0; length < xml.size(); length += 7) EXPECT_FALSE(read_domain(xml.substr(0, length)));
  EXPECT_FALSE(read_domain("<network/>"));
  EXPECT_FALSE(
      read_domain("<!DOCTYPE domain [<!ENTITY a 'b'>]><domain type='kvm'><name>&a;</name></domain>"));
  std::string deep;
  for (int i = 0; i < 500; ++i) deep += "<a>";
  for (int i = 0; i < 500; ++i) deep += "</a>";
  EXPECT_FALSE(read_domain("<domain>" + deep + "</domain>"));
}

TEST(ReadDomain, ForgetsTheMirrorOfTheSerialPort) {
  for (const VmDevice& device : rich().definition.devices) {
    EXPECT_TRUE(device.element != "console" || device.target == "virtio") << device.target;
  }
}

}  // namespace
}  // namespace understudy::hypervisor
