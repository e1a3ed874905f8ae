#include "hypervisor/guard.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace understudy::hypervisor {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// The domain of libvirt's test driver, whose guest can be thawed.
const Uuid kVm = *Uuid::parse("6695eb01-f6a4-8304-79aa-97f2502e193f");

class GuardTest : public ::testing::Test {
 protected:
  GuardTest() {
    std::string name = (fs::temp_directory_path() / "guard-test-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~GuardTest() override { fs::remove_all(root_); }

  std::string mark() const { return root_ / "mark"; }
  GuardTask task(const std::string& program = UNDERSTUDY_GUARD) const {
    return {program, "test:///default", kVm, 1, mark()};
  }
  std::string script(const std::string& body) const {
    const fs::path path = root_ / "guard";
    std::ofstream(path) << "#!/bin/sh\n" << body;
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  // Waits until no guard has the mark locked: it is gone.
  void wait_for_the_end(const Descriptor& there) const { ASSERT_EQ(::flock(there.get(), LOCK_EX), 0); }

  fs::path root_;
};

TEST_F(GuardTest, LeavesTheGuestAloneWhenAllIsWell) {
  Result<Guard> guard = Guard::start(task());
  ASSERT_TRUE(guard) << guard.error().text();
  EXPECT_TRUE(fs::exists(mark()));
  EXPECT_EQ(left_over(mark()), std::nullopt) << "its guard lives";
  guard->tell_frozen();
  EXPECT_TRUE(guard->release());
  EXPECT_FALSE(fs::exists(mark()));
}

TEST_F(GuardTest, ThawsWhenItIsAbandoned) {
  Result<Guard> guard = Guard::start(task());
  ASSERT_TRUE(guard) << guard.error().text();
  const Descriptor there(::open(mark().c_str(), O_RDONLY | O_CLOEXEC));
  guard->tell_frozen();
  guard->abandon();
  wait_for_the_end(there);
  EXPECT_FALSE(fs::exists(mark()));
}

TEST_F(GuardTest, ThawsWhenTheDeadlinePasses) {
  Result<Guard> guard = Guard::start(task());
  ASSERT_TRUE(guard) << guard.error().text();
  const Descriptor there(::open(mark().c_str(), O_RDONLY | O_CLOEXEC));
  guard->tell_frozen();
  wait_for_the_end(there);
  EXPECT_FALSE(fs::exists(mark()));
  EXPECT_FALSE(guard->release()) << "it has thawed";
}

TEST_F(GuardTest, ThereIsOneForAGuest) {
  Result<Guard> guard = Guard::start(task());
  ASSERT_TRUE(guard) << guard.error().text();
  const Result<Guard> second = Guard::start(task());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::in_use);
  EXPECT_TRUE(guard->release());
}

TEST_F(GuardTest, NoGuardWithoutItsGuest) {
  GuardTask other = task();
  other.vm = *Uuid::parse("11111111-2222-3333-4444-555555555555");
  EXPECT_FALSE(Guard::start(other));
  EXPECT_FALSE(fs::exists(mark()));
}

TEST_F(GuardTest, KnowsAMarkThatIsLeftOver) {
  EXPECT_EQ(left_over(mark()), std::nullopt);
  std::ofstream(mark()) << "17";
  EXPECT_EQ(left_over(mark()), 17u);
  const Descriptor guarded(::open(mark().c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(guarded.get(), LOCK_EX), 0);
  EXPECT_EQ(left_over(mark()), std::nullopt);
}

TEST_F(GuardTest, SaysWhenItDoesNotStart) {
  const Result<Guard> missing = Guard::start(task("/no/such/program"));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message(), HasSubstr("/no/such/program"));
  const Result<Guard> useless = Guard::start(task("/bin/true"));
  ASSERT_FALSE(useless);
  EXPECT_THAT(useless.error().message(), HasSubstr("/bin/true"));
}

TEST_F(GuardTest, InheritsNothing) {
  const Descriptor inheritable(::open("/dev/zero", O_RDONLY));
  const std::string program =
      script("readlink /proc/self/fd/* >" + (root_ / "fds").string() + "; printf r >&0\n");
  ASSERT_TRUE(Guard::start(task(program)));
  std::ifstream in(root_ / "fds");
  const std::string fds{std::istreambuf_iterator<char>(in), {}};
  EXPECT_THAT(fds, HasSubstr("socket:"));
  EXPECT_THAT(fds, ::testing::Not(HasSubstr("/dev/zero")));
}

}  // namespace
}  // namespace understudy::hypervisor
