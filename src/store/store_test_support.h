// What the store's tests share: random contents, a model of a disk, an independent check of an image, the
// real qemu-img.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "store/qcow2_image.h"
#include "store/replica_store.h"
#include "store/testing/crash_files.h"

namespace understudy::store {

template <class T>
testing::AssertionResult succeeded(const Result<T>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().text();
}
template <class T>
testing::AssertionResult fails_with(const Result<T>& result, ErrorCode code) {
  if (result) return testing::AssertionFailure() << "it succeeded";
  if (result.error().code() == code) return testing::AssertionSuccess();
  return testing::AssertionFailure() << error_info(result.error().code()).name << ": "
                                     << result.error().text();
}
#define ASSERT_OK(expression) ASSERT_TRUE(succeeded(expression))
#define EXPECT_OK(expression) EXPECT_TRUE(succeeded(expression))
#define EXPECT_CODE(expression, code) EXPECT_TRUE(fails_with(expression, code))

inline Bytes random_bytes(std::mt19937_64& random, size_t n) {
  Bytes bytes(n);
  for (size_t at = 0; at < n; at += 8) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, std::min<size_t>(8, n - at));
  }
  return bytes;
}

class TempDirectory {
 public:
  TempDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "understudy-store-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Output of a command; it has to succeed.
inline std::string run(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::string output;
  char buffer[4096];
  size_t n = 0;
  while (pipe && (n = fread(buffer, 1, sizeof buffer, pipe)) > 0) output.append(buffer, n);
  const int rc = pipe ? pclose(pipe) : -1;
  EXPECT_EQ(rc, 0) << command << "\n" << output;
  return output;
}

inline void write_real_file(const std::string& path, ByteView content) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
}

// Refcounts against references, by nothing of the code under test: what is wrong, or empty.
inline std::string check_qcow2(const std::string& image) {
  const auto* bytes = reinterpret_cast<const std::byte*>(image.data());
  const auto u64 = [&](uint64_t at) { return at + 8 <= image.size() ? load_be<uint64_t>(bytes + at) : 0; };
  const auto u32 = [&](uint64_t at) { return at + 4 <= image.size() ? load_be<uint32_t>(bytes + at) : 0; };
  if (u32(0) != 0x514649fb) return "no qcow2 image";
  if (u64(72) != 0) return "marked dirty";
  const uint64_t cluster = uint64_t{1} << u32(20);
  const uint64_t mask = 0x00fffffffffffe00;
  if (image.size() % cluster != 0) return "not a whole number of clusters";
  std::vector<int> used(image.size() / cluster);
  std::string bad;
  const auto use = [&](uint64_t at) {
    if (at % cluster != 0 || at / cluster >= used.size())
      bad = "refers to " + std::to_string(at);
    else
      ++used[at / cluster];
  };
  use(0);
  for (uint64_t at = 0; at < u32(36) * 8; at += cluster) use(u64(40) + at);
  for (uint64_t at = 0; at < u32(56); ++at) use(u64(48) + at * cluster);
  for (uint64_t i = 0; i < u32(36); ++i) {
    const uint64_t table = u64(u64(40) + i * 8) & mask;
    if (table == 0) continue;
    use(table);
    for (uint64_t at = 0; at < cluster; at += 8)
      if (const uint64_t host = u64(table + at) & mask; host != 0) use(host);
  }
  std::vector<int> counted(used.size());
  for (uint64_t i = 0; i < u32(56) * cluster / 8; ++i) {
    const uint64_t block = u64(u64(48) + i * 8);
    if (block == 0) continue;
    use(block);
    for (uint64_t at = 0; at < cluster / 2; ++at) {
      const uint64_t c = i * cluster / 2 + at;
      const int count = block + at * 2 + 2 <= image.size() ? load_be<uint16_t>(bytes + block + at * 2) : 0;
      if (c < counted.size())
        counted[c] = count;
      else if (count != 0)
        bad = "counts a cluster behind the end";
    }
  }
  for (size_t c = 0; c < used.size() && bad.empty(); ++c)
    if (used[c] != counted[c])
      bad = "cluster " + std::to_string(c) + " is used " + std::to_string(used[c]) + " times, counted " +
            std::to_string(counted[c]);
  return bad;
}

// What a guest would read at the top of a chain (top first).
inline Bytes read_chain(Files& files, const std::vector<std::string>& chain, uint64_t size) {
  Bytes all(size);
  for (auto path = chain.rbegin(); path != chain.rend(); ++path) {
    const auto image = qcow2::Image::open(files, *path, qcow2::Access::read);
    EXPECT_TRUE(image) << image.error().text();
    if (!image) return {};
    for (uint64_t at = 0; at < size;) {
      const auto run_at = (*image)->map(at, size);
      EXPECT_TRUE(run_at) << run_at.error().text();
      if (!run_at) return {};
      if (run_at->kind != qcow2::Mapping::Kind::hole) {
        const Status read = (*image)->read(at, MutableByteView(all).subspan(at, run_at->length));
        EXPECT_TRUE(read) << read.error().text();
      }
      at += run_at->length;
    }
  }
  return all;
}

// The same of a view, run by run.
inline Bytes read_view(PointView& view, uint32_t disk) {
  Bytes all(view.disks()[disk].size);
  for (uint64_t at = 0; at < all.size();) {
    const auto run_at = view.map(disk, at, all.size());
    EXPECT_TRUE(run_at) << run_at.error().text();
    if (!run_at || run_at->length == 0) return {};
    if (run_at->kind == qcow2::Mapping::Kind::data) {
      const Status read = view.read(disk, at, MutableByteView(all).subspan(at, run_at->length));
      EXPECT_TRUE(read) << read.error().text();
    }
    at += run_at->length;
  }
  Bytes at_once(all.size());
  EXPECT_TRUE(view.read(disk, 0, at_once));
  return at_once == all ? all : Bytes();
}

}  // namespace understudy::store
