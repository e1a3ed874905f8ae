#include "hypervisor/backup_job.h"

#include <gtest/gtest.h>

namespace understudy::hypervisor {
namespace {

TEST(DomainFolder, IsTheOneOfTheId) {
  EXPECT_EQ(domain_folder({"domain-1-vm1", "domain-12-vm1", "checkpoint", "domain-2-vm2"}, 1, "vm1"),
            "domain-1-vm1");
  EXPECT_EQ(domain_folder({"domain-12-vm1"}, 1, "vm1"), "");
  EXPECT_EQ(domain_folder({}, 1, "vm1"), "");
}

TEST(DomainFolder, KnowsThatLibvirtCutsNames) {
  EXPECT_EQ(domain_folder({"domain-7-a-name-much-longer-"}, 7, "a-name-much-longer-than-that"),
            "domain-7-a-name-much-longer-");
}

TEST(DomainFolder, IsNotOneThatAnEarlierRunLeft) {
  EXPECT_EQ(domain_folder({"domain-1-vm", "domain-1-other", "domain-1-vm1", "domain-1-vm10"}, 1, "vm1"),
            "domain-1-vm1");
}

}  // namespace
}  // namespace understudy::hypervisor
