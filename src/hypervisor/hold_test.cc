#include "hypervisor/hold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace understudy::hypervisor {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

const Uuid kVm = *Uuid::parse("11111111-2222-3333-4444-555555555555");
const Uuid kOther = *Uuid::parse("99999999-2222-3333-4444-555555555555");

class HoldTest : public ::testing::Test {
 protected:
  HoldTest() {
    std::string name = (fs::temp_directory_path() / "hold-test-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    holds_ = std::make_unique<Holds>(root_ / "hooks/qemu.d", root_ / "lib/holds");
  }
  ~HoldTest() override { fs::remove_all(root_); }

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
  std::unique_ptr<Holds> holds_;
};

TEST_F(HoldTest, RefusesAHeldVmInOurWords) {
  ASSERT_TRUE(holds_->install_hook());
  ASSERT_TRUE(holds_->hold(kVm, "it is the replica of vm1 on host-a"));
  EXPECT_EQ(run("prepare begin", domain(kVm)), 1);
  EXPECT_THAT(errors(),
              HasSubstr("Understudy holds this VM: it is the replica of vm1 on host-a. Use a failover"));
  EXPECT_EQ(output(), "") << "libvirt would take it for a new domain XML";
}

TEST_F(HoldTest, LetsEveryOtherOperationPass) {
  ASSERT_TRUE(holds_->install_hook());
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  for (const char* operation :
       {"start begin", "started begin", "stopped end", "release end", "reconnect begin", "prepare end"}) {
    EXPECT_EQ(run(operation, domain(kVm)), 0) << operation;
  }
}

TEST_F(HoldTest, LetsVmsWithoutHoldStart) {
  ASSERT_TRUE(holds_->install_hook());
  EXPECT_EQ(run("prepare begin", domain(kVm)), 0);
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  EXPECT_EQ(run("prepare begin", domain(kOther)), 0);
  ASSERT_TRUE(holds_->lift(kVm));
  EXPECT_EQ(run("prepare begin", domain(kVm)), 0);
  EXPECT_EQ(output(), "");
}

TEST_F(HoldTest, IsNotFooledByAnotherUuidInTheDocument) {
  ASSERT_TRUE(holds_->install_hook());
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  const std::string mine = "  <uuid>" + kVm.lower() + "</uuid>\n",
                    other = "  <uuid>" + kOther.lower() + "</uuid>\n";
  EXPECT_EQ(run("prepare begin", domain(kOther, "  <metadata>\n" + mine + "</metadata>\n")), 0);
  EXPECT_EQ(run("prepare begin", domain(kVm, "  <metadata>\n" + other + "</metadata>\n")), 1);
}

TEST_F(HoldTest, NeverStopsAVmItCannotRead) {
  ASSERT_TRUE(holds_->install_hook());
  ASSERT_TRUE(holds_->hold(kVm, "x"));
  for (const char* xml : {"", "garbage", "<uuid>", "<uuid></uuid>", "<uuid>../../etc/passwd</uuid>",
                          "<uuid>$(exit 1)</uuid>", "<uuid>.</uuid>\n", "\\\n\\"}) {
    EXPECT_EQ(run("prepare begin", xml), 0) << xml;
  }
  fs::remove_all(root_ / "lib");
  EXPECT_EQ(run("prepare begin", domain(kVm)), 0);
}

TEST_F(HoldTest, HoldsEvenWhenTheReasonIsEmptyOrHasLines) {
  ASSERT_TRUE(holds_->install_hook());
  std::ofstream(root_ / "lib/holds" / kVm.lower()).flush();
  EXPECT_EQ(run("prepare begin", domain(kVm)), 1);
  EXPECT_THAT(errors(), HasSubstr("must not run on this host"));
  ASSERT_TRUE(holds_->hold(kVm, "one\ntwo $(touch " + (root_ / "pwned").string() + ") `id` \\n"));
  EXPECT_EQ(run("prepare begin", domain(kVm)), 1);
  EXPECT_THAT(errors(), HasSubstr("one two $(touch"));
  EXPECT_FALSE(fs::exists(root_ / "pwned"));
}

TEST_F(HoldTest, KnowsWhatIsHeld) {
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

TEST_F(HoldTest, InstallsTheHookOnceAndRepairsIt) {
  const fs::path hook = root_ / "hooks/qemu.d/50-understudy";
  ASSERT_TRUE(holds_->install_hook());
  const auto inode = [&] {
    struct stat st {};
    ::stat(hook.c_str(), &st);
    return st.st_ino;
  };
  const ino_t first = inode();
  ASSERT_TRUE(holds_->install_hook());
  EXPECT_EQ(inode(), first);
  fs::permissions(hook, fs::perms::owner_read);
  ASSERT_TRUE(holds_->install_hook());
  EXPECT_EQ(fs::status(hook).permissions(), fs::perms(0755));
  std::ofstream(hook) << "#!/bin/sh\nexit 0\n";
  ASSERT_TRUE(holds_->install_hook());
  EXPECT_EQ(slurp(hook), hook_script(root_ / "lib/holds"));
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "hooks/qemu.d"), fs::directory_iterator()), 1)
      << "nothing else to run";
}

TEST_F(HoldTest, SaysWhatCannotBeWritten) {
  std::ofstream(root_ / "lib").flush();
  const Status status = holds_->hold(kVm, "x");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr((root_ / "lib").string()));
}

}  // namespace
}  // namespace understudy::hypervisor
