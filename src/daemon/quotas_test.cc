#include "daemon/quotas.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace understudy::daemon {
namespace {

struct NoDb : core::StateDb {
  Status put(const std::string&, const std::string&, const std::string&) override { return {}; }
  Status remove(const std::string&, const std::string&) override { return {}; }
  Result<std::vector<std::pair<std::string, std::string>>> load(const std::string&) override {
    return std::vector<std::pair<std::string, std::string>>();
  }
};

struct Counting final : transfer::Sink {
  Status write(uint32_t, uint64_t, ByteView data) override {
    bytes += data.size();
    return {};
  }
  Status zero(uint32_t, uint64_t, uint64_t length) override {
    zeroes += length;
    return {};
  }
  Status advance(Cursor) override { return {}; }
  Status complete(Cursor) override { return {}; }
  uint64_t bytes = 0, zeroes = 0;
};

constexpr uint64_t kMiB = 1 << 20;

class QuotasTest : public testing::Test {
 protected:
  QuotasTest() : registry_(db_) {
    char name[] = "/tmp/understudy-quota-XXXXXX";
    folder_ = mkdtemp(name);
    EXPECT_TRUE(registry_.add_entry({"host-a", folder_, ""}));
    EXPECT_TRUE(registry_.add_entry({"*", folder_, ""}));
  }
  ~QuotasTest() override { std::filesystem::remove_all(folder_); }
  void keep(const std::string& primary, uint64_t bytes) {
    const std::string directory = folder_ + "/" + std::to_string(kept_.size());
    std::filesystem::create_directory(directory);
    const int fd = open((directory + "/disk.qcow2").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_EQ(posix_fallocate(fd, 0, static_cast<off_t>(bytes)), 0);
    close(fd);
    kept_.push_back({primary, directory});
  }
  Result<std::shared_ptr<transfer::Sink>> within(const std::string& primary) {
    return Quotas({{"host-a", 4 * kMiB}}, registry_, [this] { return kept_; })
        .within(*registry_.entry_for({primary}), sink_);
  }
  NoDb db_;
  Registry registry_;
  std::string folder_;
  std::vector<Quotas::Kept> kept_;
  std::shared_ptr<Counting> sink_ = std::make_shared<Counting>();
};

TEST_F(QuotasTest, WhatIsKeptAndWhatComesStayWithinIt) {
  keep("host-a", 2 * kMiB);
  keep("host-b", 64 * kMiB);  // of another entry
  const auto sink = within("host-a");
  ASSERT_TRUE(sink) << sink.error().text();
  const Bytes piece(kMiB - 8192);  // a folder's blocks do not count, the file's own may be a few more
  EXPECT_TRUE((*sink)->write(0, 0, piece));
  EXPECT_TRUE((*sink)->zero(0, 0, 64 * kMiB)) << "zeroes take up nothing";
  EXPECT_TRUE((*sink)->write(0, 0, piece));
  const Status full = (*sink)->write(0, 0, piece);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), ErrorCode::no_space);
  EXPECT_NE(full.error().message().find("'host-a', 4194304 bytes"), std::string::npos) << full.error().text();
  EXPECT_EQ(sink_->bytes, 2 * piece.size());
  EXPECT_EQ(sink_->zeroes, 64 * kMiB);
  keep("host-a", 2 * kMiB);
  EXPECT_EQ(within("host-a").error().code(), ErrorCode::no_space) << "it is full before anything comes";
}

TEST_F(QuotasTest, AnEntryWithoutOneHasNoBound) {
  keep("host-b", 64 * kMiB);
  const auto sink = within("host-b");
  ASSERT_TRUE(sink);
  EXPECT_EQ(*sink, sink_);
}

}  // namespace
}  // namespace understudy::daemon
