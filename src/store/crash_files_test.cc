#include "store/testing/crash_files.h"

#include <gtest/gtest.h>

namespace understudy::store {
namespace {

TEST(CrashFiles, LosesWhatWasNotSynced) {
  CrashFiles files;
  const auto file = files.open("/s/a", OpenMode::create_new);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, as_bytes("kept")));
  ASSERT_TRUE((*file)->sync());
  ASSERT_TRUE(files.sync_directory("/s"));
  ASSERT_TRUE((*file)->write_at(0, as_bytes("lost")));
  ASSERT_TRUE(files.rename("/s/a", "/s/b"));
  files.crash(CrashFiles::seed_that_loses_all());
  EXPECT_EQ(files.content("/s/a"), "kept");
  EXPECT_EQ(files.content("/s/b"), "");
  EXPECT_FALSE((*file)->sync()) << "a handle of the life before";
}

TEST(CrashFiles, DiesAtTheOperationAskedFor) {
  CrashFiles files;
  files.die_at(2);
  EXPECT_TRUE(files.exists("/s"));
  EXPECT_FALSE(files.exists("/s"));
  EXPECT_FALSE(files.exists("/s"));
  files.crash(1);
  EXPECT_TRUE(files.exists("/s"));
}

}  // namespace
}  // namespace understudy::store
