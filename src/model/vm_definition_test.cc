#include "model/vm_definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace understudy {
namespace {

VmDefinition good() {
  VmDefinition d;
  d.id = *Uuid::parse("11111111-2222-3333-4444-555555555555");
  d.name = "vm1";
  d.type = "kvm";
  d.arch = "x86_64";
  d.machine = "pc-q35-7.2";
  d.memory_kib = d.current_memory_kib = 1 << 20;
  d.vcpus = d.current_vcpus = 2;
  d.cpu_mode = "host-model";
  d.clock_offset = "utc";
  d.on_poweroff = "destroy";
  d.disks.push_back({.target = "vda",
                     .bus = "virtio",
                     .size = 1 << 30,
                     .serial = {},
                     .address = "pci:0000:00:02.0,multi",
                     .cache = {},
                     .io = {},
                     .detect_zeroes = {}});
  d.cdroms = {"sda:sata"};
  d.nics.push_back({"52:54:00:aa:bb:cc", "virtio", "default", "pci:0000:01:00.0", 0, true});
  d.controllers.push_back({"pci", "pcie-root-port", 1, "pci:0000:00:02.1", 1, 16, 0});
  d.devices.push_back({"input", "tablet", "", "usb:0:1", "usb", 0});
  d.devices.push_back({"video", "", "qxl", "", "ram=65536,heads=1", 0});
  d.features = {"hyperv.spinlocks=8191", "vmport=off"};
  d.timers = {"hpet::no", "rtc:catchup:"};
  d.cpu_features = {"+aes", "-svm"};
  return d;
}

TEST(CheckDefinition, AcceptsAnOrdinaryOne) {
  const Status status = check(good());
  EXPECT_TRUE(status) << status.error().text();
}

struct Case {
  const char* name;
  std::function<void(VmDefinition&)> spoil;
  const char* says;
};
const Case kCases[] = {
    {"nil_id", [](auto& d) { d.id = Uuid(); }, "uuid"},
    {"no_name", [](auto& d) { d.name = ""; }, "name"},
    {"name_is_a_path", [](auto& d) { d.name = "../x"; }, "name"},
    {"name_is_an_option", [](auto& d) { d.name = "-x"; }, "name"},
    {"name_with_newline", [](auto& d) { d.name = "a\nb"; }, "name"},
    {"name_not_utf8", [](auto& d) { d.name = "a\xff"; }, "UTF-8"},
    {"name_overlong_utf8", [](auto& d) { d.name = "a\xc0\xaf"; }, "UTF-8"},
    {"name_surrogate", [](auto& d) { d.name = "a\xed\xa0\x80"; }, "UTF-8"},
    {"name_cut_utf8", [](auto& d) { d.name = "a\xe2\x82"; }, "UTF-8"},
    {"name_too_long", [](auto& d) { d.name = std::string(129, 'a'); }, "longer"},
    {"type", [](auto& d) { d.type = "xen"; }, "domain type"},
    {"arch", [](auto& d) { d.arch = "aarch64"; }, "architecture"},
    {"machine", [](auto& d) { d.machine = "q35,accel=kvm"; }, "machine"},
    {"machine_no_pc", [](auto& d) { d.machine = "virt"; }, "machine"},
    {"memory", [](auto& d) { d.memory_kib = uint64_t{1} << 60; }, "memory"},
    {"current_memory", [](auto& d) { d.current_memory_kib = d.memory_kib + 1; }, "current memory"},
    {"vcpus", [](auto& d) { d.vcpus = 0; }, "vcpus"},
    {"topology", [](auto& d) { d.sockets = d.dies = d.cores = d.threads = 2; }, "topology"},
    {"cpu_mode", [](auto& d) { d.cpu_mode = "x"; }, "cpu mode"},
    {"cpu_model_missing", [](auto& d) { d.cpu_mode = "custom"; }, "cpu model"},
    {"cpu_feature", [](auto& d) { d.cpu_features = {"aes"}; }, "policy"},
    {"cpu_feature_text", [](auto& d) { d.cpu_features = {"+a,b"}; }, "plain word"},
    {"firmware", [](auto& d) { d.firmware = "/usr/share/OVMF/OVMF_CODE.fd"; }, "efi"},
    {"secure_bios", [](auto& d) { d.secure_boot = true; }, "Secure Boot"},
    {"keys_of_nothing",
     [](auto& d) {
       d.firmware = "efi";
       d.enrolled_keys = true;
     },
     "Secure Boot"},
    {"kernel", [](auto& d) { d.kernel = "/etc/passwd"; }, "/boot"},
    {"kernel_climbs", [](auto& d) { d.kernel = "/boot/../etc/passwd"; }, "/boot"},
    {"initrd_folder", [](auto& d) { d.initrd = "/boot/.."; }, "/boot"},
    {"feature", [](auto& d) { d.features = {"x=on"}; }, "feature"},
    {"feature_value", [](auto& d) { d.features = {"vmport=maybe"}; }, "vmport"},
    {"timer",
     [](auto& d) {
       d.timers = {"rtc"};
       d.timers[0] += ":x:";
     },
     "timer policy"},
    {"clock", [](auto& d) { d.clock_offset = ""; }, "clock"},
    {"on_crash", [](auto& d) { d.on_crash = "run"; }, "on_crash"},
    {"target", [](auto& d) { d.disks[0].target = "vda'"; }, "target"},
    {"target_twice", [](auto& d) { d.cdroms = {"vda:sata"}; }, "twice"},
    {"bus", [](auto& d) { d.disks[0].bus = "nvme"; }, "bus"},
    {"size", [](auto& d) { d.disks[0].size = 513; }, "size"},
    {"size_zero", [](auto& d) { d.disks[0].size = 0; }, "size"},
    {"serial", [](auto& d) { d.disks[0].serial = "a,b"; }, "serial"},
    {"cache", [](auto& d) { d.disks[0].cache = "fast"; }, "cache"},
    {"address", [](auto& d) { d.disks[0].address = "pci:0:0:20.0"; }, "address"},
    {"address_function", [](auto& d) { d.disks[0].address = "pci:0000:00:02.8"; }, "address"},
    {"address_tail", [](auto& d) { d.disks[0].address = "drive:0:0:0:0:0"; }, "address"},
    {"address_kind", [](auto& d) { d.disks[0].address = "ccw:0"; }, "address"},
    {"mac", [](auto& d) { d.nics[0].mac = "52:54:00:AA:bb:cc"; }, "mac"},
    {"mac_short", [](auto& d) { d.nics[0].mac = "52:54"; }, "mac"},
    {"nic_model", [](auto& d) { d.nics[0].model = "vmxnet3"; }, "nic model"},
    {"controller", [](auto& d) { d.controllers[0].type = "nvme"; }, "controller"},
    {"controller_model", [](auto& d) { d.controllers[0].model = "pci-expander-bus"; }, "controller model"},
    {"device", [](auto& d) { d.devices[0].element = "hostdev"; }, "list of devices"},
    {"device_type", [](auto& d) { d.devices[0].type = "evdev"; }, "list of devices"},
    {"device_options", [](auto& d) { d.devices[1].target = "ram=1,blob=on"; }, "blob="},
    {"device_option_text", [](auto& d) { d.devices[1].target = "ram=1 2"; }, "plain word"},
    {"too_many_devices", [](auto& d) { d.devices.resize(65, d.devices[0]); }, "more than"},
    {"too_many_disks", [](auto& d) { d.disks.resize(33, d.disks[0]); }, "more than"},
};

class SpoiltDefinition : public ::testing::TestWithParam<Case> {};
TEST_P(SpoiltDefinition, IsRefusedWithTheField) {
  VmDefinition d = good();
  GetParam().spoil(d);
  const Status status = check(d);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), ::testing::HasSubstr(GetParam().says));
}
INSTANTIATE_TEST_SUITE_P(All, SpoiltDefinition, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(CheckDefinition, KnowsEveryKindOfAddress) {
  for (const char* address : {"", "pci:0000:00:1f.7", "drive:0:1:2:3", "usb:0:1", "usb:0:1.2.3",
                              "virtio-serial:0:0:1", "isa:0x505", "isa:0x505,5"}) {
    VmDefinition d = good();
    d.devices[0].address = address;
    EXPECT_TRUE(check(d)) << address;
  }
}

TEST(CheckDefinition, TakesNamesInAnyLanguage) {
  VmDefinition d = good();
  d.name = "büro-1 файл 服务 \xf0\x9f\x98\x80";
  d.description = "two\nlines\tand a tab";
  const Status status = check(d);
  EXPECT_TRUE(status) << status.error().text();
}

}  // namespace
}  // namespace understudy
