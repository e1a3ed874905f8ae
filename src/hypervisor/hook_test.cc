#include "hypervisor/hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "hypervisor/disk_watch.h"
#include "hypervisor/hold.h"

namespace understudy::hypervisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

const Uuid kVm = *Uuid::parse("11111111-2222-3333-4444-555555555555");
const Uuid kOther = *Uuid::parse("99999999-2222-3333-4444-555555555555");

class HookTest : public ::testing::Test {
 protected:
  HookTest() {
    std::string name = (fs::temp_directory_path() / "hook-test-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    hook_ = std::make_unique<Hook>(root_ / "hooks/qemu.d", root_ / "lib/holds", root_ / "lib/watched");
    holds_ = std::make_unique<Holds>(root_ / "lib/holds");
    watch_ = std::make_unique<DiskWatch>(root_ / "lib/watched");
  }
  ~HookTest() override { fs::remove_all(root_); }

  static std::string domain(const Uuid& id, const std::string& more = {}) {
    return "<domain type='qemu' id='1'>\n  <name>a 'b'</name>\n  <uuid>" + id.lower() + "</uuid>\n" + more +
           "</domain>\n";
  }
  static std::string slurp(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Runs the installed hook as libvirt does; its exit status.
  int run(const std::string& operation, const std::string& xml) {
    std::ofstream(root_ / "xml") << xml;
    const std::string command = "LC_ALL=C PATH=/bin:/usr/bin " +
                                (root_ / "hooks/qemu.d/50-understudy").string() + " \"a 'b'\" " + operation +
                                " - <" + (root_ / "xml").string() + " >" + (root_ / "out").string() + " 2>" +
                                (root_ / "err").string();
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string errors() const { return slurp(root_ / "err"); }
  std::string output() const { return slurp(root_ / "out"); }

  fs::path root_;
  std::unique_ptr<Hook> hook_;
  std::unique_ptr<Holds> holds_;
  std::unique_ptr<DiskWatch> watch_;
};

TEST_F(HookTest, RefusesAHeldVmInOurWords) {
  ASSERT_TRUE(hook_->install());
  ASSERT_TRUE(holds_->hold(kVm, "it is the replica of vm1 on host-a"));
  EXPECT_EQ(run("prepare begin", domain(kVm)), 1);
  EXPECT_THAT(errors(),
              HasSubstr("Understudy holds this VM: it is the replica of vm1 on host-a. Use a failover"));
  EXPECT_EQ(output(), "") << "libvirt would take it for a new domain XML";
}

TEST_F(HookTest, LetsEveryOtherOperationPass) {
  ASSERT_TRUE(hook_->install());
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  for (const char* operation :
       {"start begin", "started begin", "stopped end", "release end", "reconnect begin", "prepare end"}) {
    EXPECT_EQ(run(operation, domain(kVm)), 0) << operation;
  }
}

TEST_F(HookTest, LetsVmsWithoutHoldStart) {
  ASSERT_TRUE(hook_->install());
  EXPECT_EQ(run("prepare begin", domain(kVm)), 0);
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  EXPECT_EQ(run("prepare begin", domain(kOther)), 0);
  ASSERT_TRUE(holds_->lift(kVm));
  EXPECT_EQ(run("prepare begin", domain(kVm)), 0);
  EXPECT_EQ(output(), "");
}

TEST_F(HookTest, IsNotFooledByAnotherUuidInTheDocument) {
  ASSERT_TRUE(hook_->install());
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  const std::string mine = "  <uuid>" + kVm.lower() + "</uuid>\n",
                    other = "  <uuid>" + kOther.lower() + "</uuid>\n";
  EXPECT_EQ(run("prepare begin", domain(kOther, "  <metadata>\n" + mine + "</metadata>\n")), 0);
  EXPECT_EQ(run("prepare begin", domain(kVm, "  <metadata>\n" + other + "</metadata>\n")), 1);
}

TEST_F(HookTest, NeverStopsAVmItCannotRead) {
  ASSERT_TRUE(hook_->install());
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  for (const char* xml : {"", "garbage", "<uuid>", "<uuid></uuid>", "<uuid>../../etc/passwd</uuid>",
                          "<uuid>$(exit 1)</uuid>", "<uuid>.</uuid>\n", "\\\n\\"}) {
    EXPECT_EQ(run("prepare begin", xml), 0) << xml;
  }
  fs::remove_all(root_ / "lib");
  EXPECT_EQ(run("prepare begin", domain(kVm)), 0);
}

TEST_F(HookTest, HoldsEvenWhenTheReasonIsEmptyOrHasLines) {
  ASSERT_TRUE(hook_->install());
  std::ofstream(root_ / "lib/holds" / kVm.lower()).flush();
  EXPECT_EQ(run("prepare begin", domain(kVm)), 1);
  EXPECT_THAT(errors(), HasSubstr("must not run on this host"));
  ASSERT_TRUE(holds_->hold(kVm, "one\ntwo $(touch " + (root_ / "pwned").string() + ") `id` \\n"));
  EXPECT_EQ(run("prepare begin", domain(kVm)), 1);
  EXPECT_THAT(errors(), HasSubstr("one two $(touch"));
  EXPECT_FALSE(fs::exists(root_ / "pwned"));
}

TEST_F(HookTest, KnowsWhatIsHeld) {
  EXPECT_FALSE(holds_->held(kVm).value());
  EXPECT_TRUE(holds_->lift(kVm)) << "nothing to lift is no error";
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  EXPECT_TRUE(holds_->held(kVm).value());
  EXPECT_FALSE(holds_->held(kOther).value());
  ASSERT_TRUE(holds_->hold(kVm, "y")) << "holding twice changes the reason";
  EXPECT_EQ(slurp(root_ / "lib/holds" / kVm.lower()), "y\n");
  ASSERT_TRUE(holds_->lift(kVm));
  EXPECT_FALSE(holds_->held(kVm).value());
}

TEST_F(HookTest, InstallsTheHookOnceAndRepairsIt) {
  const fs::path hook = root_ / "hooks/qemu.d/50-understudy";
  ASSERT_TRUE(hook_->install());
  const auto inode = [&] {
    struct stat st {};
    ::stat(hook.c_str(), &st);
    return st.st_ino;
  };
  const ino_t first = inode();
  ASSERT_TRUE(hook_->install());
  EXPECT_EQ(inode(), first);
  fs::permissions(hook, fs::perms::owner_read);
  ASSERT_TRUE(hook_->install());
  EXPECT_EQ(fs::status(hook).permissions(), fs::perms(0755));
  std::ofstream(hook) << "#!/bin/sh\nexit 0\n";
  ASSERT_TRUE(hook_->install());
  EXPECT_EQ(slurp(hook), hook_->script());
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "hooks/qemu.d"), fs::directory_iterator()), 1)
      << "nothing else to run";
}

TEST_F(HookTest, SaysWhatCannotBeWritten) {
  std::ofstream(root_ / "lib").flush();
  const Status status = holds_->hold(kVm, "x");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr((root_ / "lib").string()));
}

// --- disks that were written while the VM was off ---

class WatchTest : public HookTest {
 protected:
  WatchTest() {
    EXPECT_TRUE(hook_->install());
    EXPECT_TRUE(watch_->watch(kVm, true));
    for (const char* name : {"a", "b", "base"}) write(name, "first");
  }
  fs::path file(const std::string& name) const { return root_ / name; }
  void write(const std::string& name, const std::string& text) { std::ofstream(file(name)) << text; }
  fs::path record() const { return root_ / "lib/watched" / (kVm.lower() + ".disks"); }

  static std::string disk(const std::string& target, const std::string& path, const std::string& more = {}) {
    return "    <disk type='file' device='disk'>\n      <driver name='qemu' type='qcow2'/>\n      <source "
           "file='" +
           path + "' index='1'/>\n" + more + "      <target dev='" + target +
           "' bus='virtio'/>\n    </disk>\n";
  }
  std::string two_disks() const { return disk("vda", file("a")) + disk("vdb", file("b")); }
  std::string vm(const std::string& disks) const {
    return domain(kVm, "  <devices>\n" + disks + "  </devices>\n");
  }
  void stop(const std::string& disks) {
    EXPECT_EQ(run("release end", vm(disks)), 0);
    EXPECT_EQ(output() + errors(), "");
  }
  std::vector<std::string> start(const std::string& disks) {
    EXPECT_EQ(run("prepare begin", vm(disks)), 0);
    EXPECT_EQ(output() + errors(), "");
    return watch_->changed(kVm).value();
  }
};

TEST_F(WatchTest, NamesTheDisksThatWereWritten) {
  EXPECT_THAT(start(two_disks()), IsEmpty()) << "nothing is known at the first start";
  stop(two_disks());
  write("b", "other");
  EXPECT_THAT(start(two_disks()), ElementsAre("vdb"));
  stop(two_disks());
  EXPECT_THAT(start(two_disks()), ElementsAre("vdb")) << "until it is forgotten";
  stop(two_disks());
  write("a", "other");
  write("b", "third");
  EXPECT_THAT(start(two_disks()), ElementsAre("vda", "vdb"));
  EXPECT_EQ(fs::file_size(root_ / "lib/watched" / (kVm.lower() + ".changed")), 8u) << "each disk once";
  ASSERT_TRUE(watch_->forget(kVm));
  EXPECT_THAT(watch_->changed(kVm).value(), IsEmpty());
  EXPECT_TRUE(watch_->forget(kVm)) << "nothing to forget is no error";
}

TEST_F(WatchTest, LeavesUntouchedDisksAlone) {
  stop(two_disks());
  EXPECT_THAT(start(two_disks()), IsEmpty());
  EXPECT_FALSE(fs::exists(record())) << "while it runs there is none, to be stale after a power cut";
  write("a", "the VM itself");
  EXPECT_THAT(start(two_disks()), IsEmpty()) << "as after a power cut: nothing is known";
  stop(two_disks());
  ::chmod(file("a").c_str(), 0600);
  EXPECT_THAT(start(two_disks()), IsEmpty()) << "owner and mode are not the content";
}

TEST_F(WatchTest, SeesAnotherFileInPlaceOfTheDisk) {
  stop(two_disks());
  fs::copy_file(file("a"), file("new"));
  fs::last_write_time(file("new"), fs::last_write_time(file("a")));
  fs::rename(file("new"), file("a"));
  EXPECT_THAT(start(two_disks()), ElementsAre("vda")) << "same size, same time, another inode";
  ASSERT_TRUE(watch_->forget(kVm));
  stop(two_disks());
  fs::remove(file("b"));
  EXPECT_THAT(start(disk("vda", file("a")) + disk("vdb", file("base"))), ElementsAre("vdb"));
  ASSERT_TRUE(watch_->forget(kVm));
  stop(two_disks());
  EXPECT_THAT(start(disk("vda", file("a"))), IsEmpty()) << "a disk that was taken out is not written";
}

TEST_F(WatchTest, TakesTheDisksOwnFileOnly) {
  const std::string more = "      <backingStore type='file' index='3'>\n        <source file='" +
                           file("b").string() + "'/>\n      </backingStore>\n";
  const std::string cdrom = "    <disk type='file' device='cdrom'>\n      <source file='" +
                            file("base").string() +
                            "'/>\n      <target dev='sda' bus='sata'/>\n    </disk>\n";
  stop(disk("vda", file("a"), more) + cdrom);
  write("b", "other");
  write("base", "other");
  EXPECT_THAT(start(disk("vda", file("a"), more) + cdrom), IsEmpty());
}

TEST_F(WatchTest, ReadsNamesAsLibvirtWritesThem) {
  const std::string name = "it's <a> & \"b\" $(exit 1) `x` *";
  write(name, "first");
  const std::string escaped = root_.string() + "/it&apos;s &lt;a&gt; &amp; &quot;b&quot; $(exit 1) `x` *";
  stop(disk("vda", escaped));
  EXPECT_THAT(start(disk("vda", escaped)), IsEmpty());
  stop(disk("vda", escaped));
  write(name, "other");
  EXPECT_THAT(start(disk("vda", escaped)), ElementsAre("vda"));
}

TEST_F(WatchTest, AStartThatCannotCompareKeepsTheRecord) {
  stop(two_disks());
  write("a", "other");
  fs::rename(file("b"), file("away"));
  EXPECT_THAT(start(two_disks()), IsEmpty()) << "libvirt refuses this start: a disk is missing";
  stop(two_disks());
  fs::rename(file("away"), file("b"));
  EXPECT_THAT(start(two_disks()), ElementsAre("vda"));
}

TEST_F(WatchTest, WhatItCannotReadIsNotKnown) {
  stop(two_disks());
  write("a", "other");
  const std::string cut = "boot x\nvda 1 2 3 4 " + file("a").string() + "\n";
  for (const std::string& text : {std::string(), std::string("end\n"), std::string("vda 1 2\n"), cut}) {
    std::ofstream(record()) << text;
    EXPECT_THAT(start(two_disks()), IsEmpty()) << text;
    EXPECT_FALSE(fs::exists(record()));
  }
  stop(disk("vda", root_ / "missing"));
  EXPECT_FALSE(fs::exists(record()));
  fs::remove_all(root_ / "lib/watched");
  stop(two_disks());
  EXPECT_THAT(start(two_disks()), IsEmpty());
}

TEST_F(WatchTest, ADeviceMayHaveAnotherNumberAfterAReboot) {
  stop(two_disks());
  const std::string text = slurp(record());
  const size_t device = text.find("vda ") + 4;
  const std::string moved = text.substr(0, device) + "9" + text.substr(device);
  std::ofstream(record()) << moved;
  EXPECT_THAT(start(two_disks()), ElementsAre("vda"));
  ASSERT_TRUE(watch_->forget(kVm));
  std::ofstream(record()) << "boot before" << moved.substr(moved.find('\n'));
  EXPECT_THAT(start(two_disks()), IsEmpty());
}

TEST_F(WatchTest, OnlyWatchedVmsAreRecordedAndNoHeldOnes) {
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  stop(two_disks());
  EXPECT_FALSE(fs::exists(record()));
  ASSERT_TRUE(holds_->lift(kVm));
  stop(two_disks());
  write("a", "other");
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  EXPECT_EQ(run("prepare begin", vm(two_disks())), 1);
  ASSERT_TRUE(holds_->lift(kVm));
  ASSERT_TRUE(watch_->watch(kVm, true)) << "again is no error, and forgets nothing";
  EXPECT_THAT(start(two_disks()), ElementsAre("vda"));
  stop(two_disks());
  ASSERT_TRUE(watch_->watch(kVm, false));
  EXPECT_TRUE(fs::is_empty(root_ / "lib/watched"));
  stop(two_disks());
  EXPECT_TRUE(fs::is_empty(root_ / "lib/watched"));
  EXPECT_TRUE(watch_->watch(kVm, false)) << "again is no error";
}

}  // namespace
}  // namespace understudy::hypervisor
