#include "files/archive.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

namespace understudy::files {
namespace {

class ArchiveTest : public testing::Test {
 protected:
  ArchiveTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "understudy-archive-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~ArchiveTest() override { std::filesystem::remove_all(root_); }
  std::string tar(const std::string& words) const {
    FILE* pipe = popen(("tar -z -f " + root_ + "/a.tar.gz " + words).c_str(), "r");
    std::string text;
    for (int c; pipe && (c = fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    EXPECT_EQ(pclose(pipe), 0);
    return text;
  }
  std::string root_;
};

TEST_F(ArchiveTest, IsReadByTar) {
  auto archive = Archive::create(root_ + "/a.tar.gz");
  ASSERT_TRUE(archive);
  ASSERT_TRUE(archive->add("top/a", "hello", Wall{1'765'965'322'000'000}));
  ASSERT_TRUE(archive->add("top/" + std::string(200, 'x'), "", Wall{}));
  ASSERT_TRUE(archive->close());
  EXPECT_EQ(tar("-x -O top/a"), "hello");
  EXPECT_EQ(tar("-t"), "top/a\ntop/" + std::string(200, 'x') + "\n");
  struct stat info {};
  ASSERT_EQ(stat((root_ + "/a.tar.gz").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(ArchiveTest, NothingIsOverwritten) {
  ASSERT_TRUE(Archive::create(root_ + "/a.tar.gz"));
  const auto again = Archive::create(root_ + "/a.tar.gz");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::invalid_parameter);
  EXPECT_EQ(Archive::create(root_ + "/no/a.tar.gz").error().code(), ErrorCode::not_found);
  auto full = Archive::create("/dev/full");
  EXPECT_FALSE(full);
}

}  // namespace
}  // namespace understudy::files
