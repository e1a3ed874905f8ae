#include "files/posix_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace understudy::files {
namespace {

using store::OpenMode;

class PosixFilesTest : public testing::Test {
 protected:
  PosixFilesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "understudy-files-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~PosixFilesTest() override { std::filesystem::remove_all(root_); }
  std::string in(const std::string& name) const { return root_ + "/" + name; }
  std::unique_ptr<store::File> make(const std::string& name) {
    auto file = files_.open(in(name), OpenMode::create_new);
    EXPECT_TRUE(file);
    return file ? std::move(*file) : nullptr;
  }
  static mode_t mode_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_mode & 07777;
  }

  PosixFiles files_{""};
  std::string root_;
};

TEST_F(PosixFilesTest, WritesAndReadsAtOffsets) {
  const auto file = make("a");
  ASSERT_TRUE(file->write_at(100'000, as_bytes("hello")));
  EXPECT_EQ(*file->size(), 100'005u);
  Bytes back(6);
  ASSERT_TRUE(file->read_at(99'999, back));
  EXPECT_EQ(as_text(back), std::string("\0hello", 6));
  EXPECT_TRUE(file->sync());
  const auto beyond = file->read_at(100'000, back);
  ASSERT_FALSE(beyond) << "never a short read";
  EXPECT_EQ(beyond.error().code(), ErrorCode::corrupt);
  EXPECT_NE(beyond.error().message().find(in("a")), std::string::npos);
}

TEST_F(PosixFilesTest, PunchedRangesReadAsZeroesAndTheSizeStays) {
  const auto file = make("a");
  ASSERT_TRUE(file->write_at(0, Bytes(1 << 20, std::byte{1})));
  ASSERT_TRUE(file->punch(4096, 1 << 18));
  ASSERT_TRUE(file->punch((1 << 20) - 512, 1 << 20)) << "reaches behind the end";
  ASSERT_TRUE(file->punch(1 << 21, 512));
  EXPECT_EQ(*file->size(), uint64_t{1 << 20});
  Bytes all(1 << 20);
  ASSERT_TRUE(file->read_at(0, all));
  EXPECT_EQ(all[4095], std::byte{1});
  EXPECT_EQ(all[4096], std::byte{0});
  EXPECT_EQ(all[4096 + (1 << 18)], std::byte{1});
  EXPECT_EQ(all.back(), std::byte{0});
  ASSERT_TRUE(file->truncate(10));
  EXPECT_EQ(*file->size(), 10u);
}

TEST_F(PosixFilesTest, CreatesForAGroupAndNeverOverWhatIsThere) {
  make("a");
  EXPECT_FALSE(files_.open(in("a"), OpenMode::create_new));
  EXPECT_TRUE(files_.open(in("a"), OpenMode::write_existing));
  EXPECT_EQ(mode_of(in("a")), 0640u);
  ASSERT_TRUE(files_.open(in("b"), OpenMode::create_for_guest));
  EXPECT_EQ(mode_of(in("b")), 0660u);
  ASSERT_TRUE(files_.make_directory(in("d")));
  ASSERT_TRUE(files_.make_directory(in("d")));
  EXPECT_EQ(mode_of(in("d")), 0711u);
  EXPECT_FALSE(files_.make_directory(in("a"))) << "a file in its place";
  const auto none = files_.open(in("none"), OpenMode::read);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::not_found);
}

TEST_F(PosixFilesTest, FollowsNoLinksAndOpensNothingButFiles) {
  make("a");
  ASSERT_EQ(symlink(in("a").c_str(), in("link").c_str()), 0);
  EXPECT_FALSE(files_.open(in("link"), OpenMode::read));
  EXPECT_FALSE(files_.open(in("link"), OpenMode::create_new));
  EXPECT_EQ(*files_.exists(in("link")), true);
  ASSERT_EQ(symlink(root_.c_str(), in("dirlink").c_str()), 0);
  EXPECT_FALSE(files_.make_directory(in("dirlink")));
  EXPECT_FALSE(files_.sync_directory(in("dirlink")));
  ASSERT_EQ(mkfifo(in("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(files_.open(in("fifo"), OpenMode::read)) << "and does not wait for a writer";
  EXPECT_FALSE(files_.open(root_, OpenMode::read));
}

TEST_F(PosixFilesTest, NamesAreListedMovedAndRemoved) {
  make("b");
  make("a");
  ASSERT_TRUE(files_.make_directory(in("d")));
  EXPECT_EQ(*files_.list(root_), (std::vector<std::string>{"a", "b", "d"}));
  ASSERT_TRUE(files_.rename(in("a"), in("b")));
  ASSERT_TRUE(files_.rename(in("b"), in("d/c")));
  ASSERT_TRUE(files_.sync_directory(root_));
  EXPECT_FALSE(files_.remove(in("d"))) << "not empty";
  ASSERT_TRUE(files_.remove(in("d/c")));
  ASSERT_TRUE(files_.remove(in("d/c"))) << "repeated";
  ASSERT_TRUE(files_.remove(in("d")));
  EXPECT_EQ(*files_.exists(in("d")), false);
  EXPECT_FALSE(files_.rename(in("a"), in("b")));
  EXPECT_GT(*files_.free_space(root_), 0u);
  EXPECT_FALSE(files_.list(in("d")));
}

TEST(PosixFiles, AFullFileSystemSaysWhatToDo) {
  PosixFiles files("");
  // Not a regular file: nothing is opened, and nothing is written to it.
  const auto full = files.open("/dev/full", OpenMode::write_existing);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), ErrorCode::corrupt);
  EXPECT_FALSE(full.error().hint().empty());
}

}  // namespace
}  // namespace understudy::files
