#include "daemon/place_check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "net/certificate.h"

namespace understudy::daemon {
namespace {

using enum ReplicationHealth;

class Place : public testing::Test {
 protected:
  Place() {
    std::string name = testing::TempDir() + "/place-XXXXXX";
    folder_ = mkdtemp(name.data());
    chmod(folder_.c_str(), 0755);
  }
  ~Place() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(Place, CertificatesAreToldBeforeTheyEnd) {
  const std::string file = folder_ + "/authority.crt";
  const auto made = net::create_authority(folder_, "lab");
  ASSERT_TRUE(made);
  const auto on_day = [&](int64_t before_end) {
    return check_certificate(file, made->not_after + Duration::seconds(-before_end * 24 * 3600 - 3600));
  };
  EXPECT_EQ(on_day(30).level, ok);
  EXPECT_EQ(on_day(29).level, warning);
  EXPECT_NE(on_day(29).cause.find("29 more days"), std::string::npos) << on_day(29).cause;
  EXPECT_EQ(on_day(7).level, warning);
  EXPECT_EQ(on_day(6).level, critical);
  EXPECT_EQ(on_day(-1).level, critical);
  EXPECT_NE(on_day(-1).cause.find("has ended"), std::string::npos);
  EXPECT_EQ(check_certificate(file, made->not_before + Duration::seconds(-60)).level, critical);
  const Finding gone = check_certificate(folder_ + "/none.crt", made->not_before);
  EXPECT_EQ(gone.level, critical);
  EXPECT_FALSE(gone.next.empty());
}

TEST_F(Place, TheWayToAReplicaIsOpenToQemu) {
  const std::string storage = folder_ + "/storage";
  const std::string replica = storage + "/vm";
  ASSERT_EQ(mkdir(storage.c_str(), 0711), 0);
  ASSERT_EQ(mkdir(replica.c_str(), 0711), 0);
  constexpr uid_t kNobody = 65534;
  EXPECT_EQ(check_location(replica, kNobody, kNobody).level, ok);
  ASSERT_EQ(chmod(storage.c_str(), 0700), 0);
  const Finding closed = check_location(replica, kNobody, kNobody);
  EXPECT_EQ(closed.level, critical);
  EXPECT_EQ(closed.next, "chmod o+x " + storage);
  EXPECT_EQ(check_location(replica, getuid(), getgid()).level, ok);
  EXPECT_EQ(check_location(folder_ + "/none/vm", kNobody, kNobody).level, critical);
}

TEST_F(Place, RoomIsJudgedByTheDisks) {
  EXPECT_EQ(check_space(folder_, 1 << 20).level, ok);
  EXPECT_EQ(check_space(folder_, uint64_t{1} << 60).level, critical);
  EXPECT_EQ(check_memory(1024).level, ok);
  EXPECT_EQ(check_memory(uint64_t{1} << 40).level, warning);
}

}  // namespace
}  // namespace understudy::daemon
