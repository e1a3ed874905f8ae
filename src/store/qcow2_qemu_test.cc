// The images against QEMU's own tools: what we write it accepts, what it writes we read.
#include <gtest/gtest.h>

#include "files/posix_files.h"
#include "store/merge.h"
#include "store/store_test_support.h"

namespace understudy::store {
namespace {

using qcow2::Access;
using qcow2::Image;

// A disk as a raw file beside the image, changed alike.
struct Reference {
  Bytes raw;
  void write(uint64_t at, ByteView data) {
    std::copy(data.begin(), data.end(), raw.begin() + static_cast<ptrdiff_t>(at));
  }
  void zero(uint64_t at, uint64_t n) {
    std::fill_n(raw.begin() + static_cast<ptrdiff_t>(at), n, std::byte{0});
  }
};

void change(std::mt19937_64& random, Image& image, Reference& reference, uint64_t granule, int times) {
  const uint64_t size = reference.raw.size();
  for (int i = 0; i < times; ++i) {
    const uint64_t at = random() % (size / granule + 1) * granule;
    if (at >= size) continue;
    const uint64_t n = std::min(size - at, (random() % 9 + 1) * granule);
    if (random() % 4 == 0) {
      ASSERT_OK(image.zero(at, n));
      reference.zero(at, n);
    } else {
      const Bytes data = random_bytes(random, n);
      ASSERT_OK(image.write(at, data));
      reference.write(at, data);
    }
    if (random() % 16 == 0) {
      ASSERT_OK(image.flush());
    }
  }
}

void check_and_compare(const TempDirectory& dir, const std::string& image, const Reference& reference) {
  write_real_file(dir / "reference.raw", reference.raw);
  run("qemu-img check -q " + dir / image);
  run("qemu-img compare -q -f qcow2 -F raw " + dir / image + " " + dir / "reference.raw");
}

class WithQemu : public testing::TestWithParam<uint64_t> {};

TEST_P(WithQemu, ImagesAreCleanAndReadTheSame) {
  files::PosixFiles files("");
  for (const uint64_t size : {uint64_t{512}, uint64_t{10'487'296}, uint64_t{16 << 20}}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE("size " + std::to_string(size) + " seed " + std::to_string(seed));
      TempDirectory dir;
      std::mt19937_64 random(seed);
      Reference reference{Bytes(size)};
      const auto image = Image::create(files, dir / "a.qcow2", {size, GetParam(), "", OpenMode::create_new});
      ASSERT_OK(image);
      change(random, **image, reference, 512, 150);
      ASSERT_OK((*image)->seal());
      check_and_compare(dir, "a.qcow2", reference);
    }
  }
}

TEST_P(WithQemu, ChainsMergeIntoTheBottom) {
  files::PosixFiles files("");
  const uint64_t size = 10'487'296;
  for (const uint64_t bottom_cluster : {uint64_t{4096}, uint64_t{65536}}) {
    SCOPED_TRACE("bottom " + std::to_string(bottom_cluster));
    TempDirectory dir;
    std::mt19937_64 random(bottom_cluster);
    Reference reference{Bytes(size)};
    std::string below;
    for (const std::string name : {"a.qcow2", "b.qcow2", "c.qcow2"}) {
      const uint64_t cluster = below.empty() ? bottom_cluster : GetParam();
      const auto image = Image::create(files, dir / name, {size, cluster, below, OpenMode::create_new});
      ASSERT_OK(image);
      change(random, **image, reference, GetParam(), 60);
      ASSERT_OK((*image)->seal());
      below = name;
    }
    EXPECT_NE(run("qemu-img info --backing-chain " + dir / "c.qcow2").find("a.qcow2"), std::string::npos);
    check_and_compare(dir, "c.qcow2", reference);
    // Stopped half-way, then again to the end.
    int left = 3;
    const auto stop = [&] { return --left > 0 ? Status() : fail(ErrorCode::cancelled, "stopped"); };
    EXPECT_CODE(merge_into(files, dir / "a.qcow2", dir / "b.qcow2", stop), ErrorCode::cancelled);
    check_and_compare(dir, "c.qcow2", reference);
    run("qemu-img check -q " + dir / "a.qcow2");
    ASSERT_OK(merge_into(files, dir / "a.qcow2", dir / "b.qcow2", [] { return Status(); }));
    run("qemu-img check -q " + dir / "a.qcow2");
    ASSERT_OK(files.rename(dir / "a.qcow2", dir / "b.qcow2"));
    check_and_compare(dir, "c.qcow2", reference);
  }
}

TEST_P(WithQemu, TakesOverImagesThatQemuWrote) {
  files::PosixFiles files("");
  TempDirectory dir;
  std::mt19937_64 random(5);
  Reference reference{random_bytes(random, 8'388'608 + 512)};
  write_real_file(dir / "in.raw", reference.raw);
  run("qemu-img convert -f raw -O qcow2 -o cluster_size=" + std::to_string(GetParam()) + " " +
      dir / "in.raw" + " " + dir / "a.qcow2");
  for (const Access access : {Access::modify, Access::resume}) {
    const auto image = Image::open(files, dir / "a.qcow2", access);
    ASSERT_OK(image);
    change(random, **image, reference, 512, 100);
    ASSERT_OK((*image)->seal());
    check_and_compare(dir, "a.qcow2", reference);
  }
  // QEMU leaves old data under the zero flag.
  run("qemu-io -c 'write -P 7 0 64k' -c 'write -z 0 64k' " + dir / "a.qcow2");
  reference.zero(0, 65536);
  {
    const auto image = Image::open(files, dir / "a.qcow2", Access::modify);
    ASSERT_OK(image);
    const Bytes data(512, std::byte{5});
    ASSERT_OK((*image)->write(1024, data));
    reference.write(1024, data);
    ASSERT_OK((*image)->seal());
  }
  check_and_compare(dir, "a.qcow2", reference);
  run("qemu-img bitmap --add " + dir / "a.qcow2" + " b0");
  EXPECT_CODE(Image::open(files, dir / "a.qcow2", Access::modify), ErrorCode::not_supported);
  EXPECT_TRUE(Image::open(files, dir / "a.qcow2", Access::read));
  run("qemu-img bitmap --remove " + dir / "a.qcow2" + " b0");
  EXPECT_TRUE(Image::open(files, dir / "a.qcow2", Access::modify));
}

TEST(Qemu, RefusesImagesOfOtherKinds) {
  files::PosixFiles files("");
  TempDirectory dir;
  const auto refused = [&](const std::string& options) {
    run("rm -f " + dir / "x.*" + "; qemu-img create -q -f qcow2 -o " + options + " " + dir / "x.qcow2" +
        " 1M");
    return Image::open(files, dir / "x.qcow2", Access::read);
  };
  EXPECT_CODE(refused("compat=0.10"), ErrorCode::not_supported);
  EXPECT_CODE(refused("extended_l2=on,cluster_size=128k"), ErrorCode::not_supported);
  EXPECT_CODE(refused("refcount_bits=8"), ErrorCode::not_supported);
  EXPECT_CODE(refused("compression_type=zstd"), ErrorCode::not_supported);
  EXPECT_CODE(refused("data_file=" + dir / "x.raw"), ErrorCode::not_supported);
  EXPECT_TRUE(refused("lazy_refcounts=on"));
}

TEST_P(WithQemu, FewTablesInMemoryAreEnoughForABigDisk) {
  files::PosixFiles files("");
  TempDirectory dir;
  const uint64_t size = GetParam() == 4096 ? 64ULL << 30 : 4ULL << 40;
  const uint64_t stride = GetParam() * GetParam() / 8;  // a table each
  const auto image = Image::create(files, dir / "a.qcow2", {size, GetParam(), "", OpenMode::create_new});
  ASSERT_OK(image);
  const uint64_t tables = qcow2::kMostTableCache / GetParam() + 500;
  const auto mark = [](uint64_t i) { return Bytes(512, static_cast<std::byte>(i % 251 + 1)); };
  for (uint64_t i = 0; i < tables; ++i) ASSERT_OK((*image)->write(i * stride, mark(i)));
  ASSERT_OK((*image)->seal());
  run("qemu-img check -q " + dir / "a.qcow2");
  const auto again = Image::open(files, dir / "a.qcow2", Access::read);
  ASSERT_OK(again);
  for (uint64_t i = 0; i < tables; ++i) {
    Bytes piece(512);
    ASSERT_OK((*again)->read(i * stride, piece));
    ASSERT_EQ(piece, mark(i)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Clusters, WithQemu, testing::Values(4096, 65536), testing::PrintToStringParamName());

}  // namespace
}  // namespace understudy::store
