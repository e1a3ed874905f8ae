// Against qemu-nbd, the server QEMU itself uses: what is delivered equals the image, in order, whatever the
// layout.
#include "source/backup_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

extern char** environ;

namespace understudy::source {
namespace {

constexpr uint64_t kSize = (8 << 20) + 1536;  // ends in the middle of a granule

int spawn(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  return posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) == 0 ? pid : -1;
}
void run(const std::vector<std::string>& words) {
  int status = -1;
  waitpid(spawn(words), &status, 0);
  ASSERT_EQ(status, 0) << words[0] << " " << words[1];
}

class BackupSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "us-source-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    image_ = folder_ + "/disk.qcow2";
    run({"qemu-img", "create", "-q", "-f", "qcow2", image_, std::to_string(kSize)});
  }
  void TearDown() override {
    if (server_ > 0) {
      kill(server_, SIGTERM);
      struct pollfd ended = {server_fd_, POLLIN, 0};
      EXPECT_EQ(poll(&ended, 1, 30'000), 1) << "it removes its socket before it ends";
      close(server_fd_);
    }
    std::filesystem::remove_all(folder_);
  }
  void io(const std::string& command) { run({"qemu-io", "-f", "qcow2", "-c", command, image_}); }
  // Started with --fork: it returns when the socket listens.
  void serve(const std::string& bitmap) {
    std::vector<std::string> words = {"qemu-nbd",
                                      "--fork",
                                      "-e",
                                      "4",
                                      "-r",
                                      "-t",
                                      "-f",
                                      "qcow2",
                                      "-x",
                                      "vda",
                                      "-k",
                                      folder_ + "/nbd.sock",
                                      "--pid-file=" + folder_ + "/pid"};
    if (!bitmap.empty()) words.insert(words.end(), {"-B", bitmap});
    words.push_back(image_);
    run(words);
    std::ifstream(folder_ + "/pid") >> server_;
    server_fd_ = static_cast<int>(
        syscall(SYS_pidfd_open, server_, 0));  // it is no child of ours that could be waited for
    ASSERT_GE(server_fd_, 0);
  }
  std::unique_ptr<transfer::Source> open(const std::string& bitmap) {
    const std::string context = bitmap.empty() ? "" : "qemu:dirty-bitmap:" + bitmap;
    auto source = open_backup_source({{{"vda", kSize}, {folder_ + "/nbd.sock", "vda", context}}}, 65536);
    EXPECT_TRUE(source) << source.error().text();
    return source ? std::move(*source) : nullptr;
  }
  std::string raw() {
    run({"qemu-img", "convert", "-U", "-O", "raw", image_, folder_ + "/raw"});
    std::ifstream file(folder_ + "/raw", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string folder_;
  std::string image_;
  pid_t server_ = 0;
  int server_fd_ = -1;
};

struct Received {
  std::string bytes = std::string(kSize, '?');
  std::vector<Extent> extents;
  uint64_t data = 0;
};
Status receive(transfer::Source& source, Cursor from, Received& into) {
  return source.stream(
      from, 4 << 20,
      [&](transfer::ExtentData part) -> Status {
        EXPECT_LE(part.data.size(), limits::kMostExtentData);
        if (!into.extents.empty()) {
          EXPECT_GE(part.extent.offset, into.extents.back().offset + into.extents.back().length);
        }
        into.extents.push_back(part.extent);
        const std::string text =
            part.extent.zero ? std::string(part.extent.length, '\0') : std::string(as_text(part.data));
        EXPECT_EQ(text.size(), part.extent.length);
        into.bytes.replace(part.extent.offset, part.extent.length, text);
        into.data += part.data.size();
        return {};
      },
      CancelToken());
}

TEST_F(BackupSourceTest, AFullExportCoversEverything) {
  io("write -P 17 0 3M");
  io("write -P 18 5000000 70000");
  io("write -P 19 8388608 1536");
  io("write -z 1M 256k");
  serve("");
  const auto source = open("");
  Received got;
  ASSERT_TRUE(receive(*source, {}, got));
  EXPECT_EQ(got.bytes, raw());
  EXPECT_EQ(source->bytes_to_send({}), got.data);
  EXPECT_LT(got.data, 4u << 20);
  Received rest;
  ASSERT_TRUE(receive(*source, {0, 2 << 20}, rest));
  EXPECT_EQ(rest.extents.front().offset, 2u << 20);
  EXPECT_EQ(rest.bytes.substr(2 << 20), got.bytes.substr(2 << 20));
  Received nothing;
  ASSERT_TRUE(
      receive(*source, {0, kSize}, nothing));  // all of it was sent: the last granule does not come again
  EXPECT_TRUE(nothing.extents.empty());
  EXPECT_EQ(source->bytes_to_send({0, kSize}), 0u);
}

TEST_F(BackupSourceTest, ADeltaIsWhatTheBitmapSaysAndZeroesTravel) {
  io("write -P 17 0 4M");
  run({"qemu-img", "bitmap", "--add", "-g", "65536", image_, "cp"});
  io("write -P 33 100000 10");
  io("write -z 1M 128k");
  io("discard 2M 64k");
  io("write -P 34 8388608 1536");
  serve("cp");
  const auto source = open("cp");
  Received got;
  ASSERT_TRUE(receive(*source, {}, got));
  ASSERT_EQ(got.extents.size(), 4u);
  EXPECT_EQ(got.extents[0], (Extent{0, 65536, 65536, false}));
  EXPECT_EQ(got.extents[1], (Extent{0, 1 << 20, 128 << 10, true}));
  EXPECT_EQ(got.extents[2], (Extent{0, 2 << 20, 64 << 10, true}));
  EXPECT_EQ(got.extents[3], (Extent{0, 8 << 20, 1536, false}));
  const std::string image = raw();
  for (const Extent& e : got.extents)
    EXPECT_EQ(got.bytes.substr(e.offset, e.length), image.substr(e.offset, e.length));
}

TEST_F(BackupSourceTest, EndsOnCancelAndWhenTheServerDies) {
  io("write -P 17 0 8M");
  serve("");
  const auto source = open("");
  CancelToken cancel;
  const Status cancelled = source->stream(
      {}, 1 << 20,
      [&](transfer::ExtentData) -> Status {
        cancel.cancel();
        return {};
      },
      cancel);
  EXPECT_EQ(cancelled.error().code(), ErrorCode::cancelled);
  bool killed = false;
  const Status broken = source->stream(
      {}, 1 << 20,
      [&](transfer::ExtentData) -> Status {
        if (!killed) kill(server_, SIGKILL);
        killed = true;
        return {};
      },
      CancelToken());
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), ErrorCode::not_available);
}

TEST_F(BackupSourceTest, AnExportOfAnotherSizeIsRefused) {
  serve("");
  const auto source = open_backup_source({{{"vda", kSize + 512}, {folder_ + "/nbd.sock", "vda", {}}}}, 65536);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code(), ErrorCode::invalid_state);
}

}  // namespace
}  // namespace understudy::source
