// What health says of damage at rest: nothing before a merge has met it, then which points read it.
#include <gtest/gtest.h>

#include "daemon/place_check.h"
#include "store/replica_fixture_test_support.h"

namespace understudy::daemon {
namespace {

using namespace store;
using enum ReplicationHealth;

class DamageCheck : public ReplicaTest {
 protected:
  // Of all that the image has.
  void damage(const std::string& image) {
    std::string sums = files_.content(in(image + ".sums"));
    for (size_t entry = 4096; entry < sums.size(); entry += 16)
      if (sums.substr(entry, 16) != std::string(16, '\0')) sums[entry] = static_cast<char>(sums[entry] ^ 1);
    files_.put(in(image + ".sums"), sums);
  }
  Finding found() { return check_damage(files_, kDirectory, "web1"); }
};

TEST_F(DamageCheck, IsToldFromTheMergeOnUntilNoPointReadsIt) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(publish(2, 1, PointKeep::on_demand));
  ASSERT_OK(publish(3, 2));
  damage("vda-1-2.qcow2");
  EXPECT_EQ(found().level, ok);
  ASSERT_OK(store_->merge(CancelToken()));
  const Finding bad = found();
  EXPECT_EQ(bad.level, critical);
  EXPECT_NE(bad.cause.find("2 of 2 recovery points of 'web1'"), std::string::npos) << bad.cause;
  EXPECT_NE(bad.next.find("understudy resync web1"), std::string::npos) << bad.next;

  Changes all = whole_disks(disks_);  // as a resync that finds nothing equal
  ASSERT_OK(send(*store_, pass_key(4, 0), all));
  ASSERT_OK(send(*store_, delta_key(5, 0), change_disks(random_, disks_)));
  ASSERT_OK(store_->finish(point_request(5, 0), {}));
  EXPECT_EQ(found().level, warning) << "an older point has it still";
  EXPECT_NE(found().cause.find("1 of 2 "), std::string::npos) << found().cause;
  EXPECT_NE(found().next.find(std::string("understudy store check ") + kDirectory), std::string::npos);
}

TEST_F(DamageCheck, AReplicaThatCannotBeReadIsNotCalledWhole) {
  ASSERT_OK(publish(1, 0));
  EXPECT_EQ(found().level, ok);
  ASSERT_OK(files_.remove(in("manifest")));
  EXPECT_EQ(found().level, critical);
}

}  // namespace
}  // namespace understudy::daemon
