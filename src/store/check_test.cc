// Checksums at rest: what is damaged is named, with each point that reads it and no other.
#include "store/check.h"

#include <gtest/gtest.h>

#include "store/replica_fixture_test_support.h"
#include "store/sums.h"

namespace understudy::store {
namespace {

class CheckTest : public ReplicaTest {
 protected:
  ReplicaCheck check() {
    auto found = check_replica(
        files_, kDirectory, [](uint64_t, uint64_t) {}, CancelToken());
    EXPECT_OK(found);
    return found ? std::move(*found) : ReplicaCheck();
  }
  // Sequences of the points that are not good.
  std::vector<uint64_t> bad_points() {
    std::vector<uint64_t> bad;
    for (const CheckedPoint& point : check().points)
      if (!point.good()) bad.push_back(point.point.lineage.sequence);
    return bad;
  }
  // The same as merges have left it known.
  std::vector<uint64_t> known_bad() {
    const auto points = known_damage(files_, kDirectory);
    EXPECT_OK(points);
    std::vector<uint64_t> bad;
    for (const CheckedPoint& point : *points)
      if (!point.good()) bad.push_back(point.point.lineage.sequence);
    return bad;
  }
  void flip(const std::string& name, uint64_t at, char bit = 1) {
    std::string text = files_.content(in(name));
    ASSERT_LT(at, text.size());
    text[at] = static_cast<char>(text[at] ^ bit);
    files_.put(in(name), text);
  }
  // Where the image has the data of this place of the disk; 0: it has none.
  uint64_t host_of(const std::string& name, uint64_t offset) {
    const auto image = qcow2::Image::open(files_, in(name), qcow2::Access::read);
    EXPECT_OK(image);
    const auto run = (*image)->map(offset, 1);
    return run && run->kind == qcow2::Mapping::Kind::data ? run->host : 0;
  }
  bool hole(const std::string& name, uint64_t offset) {
    const auto image = qcow2::Image::open(files_, in(name), qcow2::Access::read);
    EXPECT_OK(image);
    return (*image)->map(offset, 1)->kind == qcow2::Mapping::Kind::hole;
  }
  // The first cluster of the disk that the image has data of.
  uint64_t first_data(const std::string& name) {
    for (uint64_t at = 0; at < test_identity().disks[0].size; at += kTestGranule)
      if (host_of(name, at) != 0) return at;
    ADD_FAILURE() << name << " has no data";
    return 0;
  }
};

TEST_F(CheckTest, WhatIsWholeIsGoodAndAllOfItIsRead) {
  ASSERT_OK(publish(1, 0, PointKeep::on_demand));
  ASSERT_OK(publish(2, 1));
  uint64_t done = 0;
  uint64_t total = 0;
  const auto found = check_replica(
      files_, kDirectory,
      [&](uint64_t d, uint64_t t) {
        EXPECT_GE(d, done);
        done = d;
        total = t;
      },
      CancelToken());
  ASSERT_OK(found);
  ASSERT_EQ(found->points.size(), 2u);
  for (const CheckedPoint& point : found->points) EXPECT_TRUE(point.good());
  EXPECT_GE(found->bytes, test_identity().disks[0].size + test_identity().disks[1].size);
  EXPECT_EQ(done, total);
  EXPECT_GT(total, 0u);
}

TEST_F(CheckTest, AFlippedBitOfDataIsFoundInThePointsThatReadIt) {
  ASSERT_OK(publish(1, 0, PointKeep::on_demand));
  ASSERT_OK(publish(2, 1, PointKeep::on_demand));
  ASSERT_OK(publish(3, 2));
  const uint64_t at = first_data("vda-1-2.qcow2");
  flip("vda-1-2.qcow2", host_of("vda-1-2.qcow2", at) + 77);
  const bool shadowed = host_of("vda-1-3.qcow2", at) != 0;
  const auto found = check();
  EXPECT_TRUE(found.points[0].good());
  ASSERT_EQ(found.points[1].damages.size(), 1u);
  EXPECT_EQ(found.points[1].damages[0],
            (Damage{0, at, kTestGranule, in("vda-1-2.qcow2"), "it does not fit its checksum"}));
  EXPECT_EQ(found.points[2].good(), shadowed);
}

// Any byte at all: of data, tables, header or checksums. Nothing is reported good that reads as something
// else.
TEST_F(CheckTest, NoFlippedBitPassesForTheOriginal) {
  ASSERT_OK(publish(1, 0, PointKeep::on_demand));
  ASSERT_OK(publish(2, 1, PointKeep::on_demand));
  ASSERT_OK(publish(3, 2));
  store_.reset();
  for (const char* name : {"vda-1-1.qcow2", "vda-1-2.qcow2", "vda-1-2.qcow2.sums"}) {
    const std::string whole = files_.content(in(name));
    for (uint64_t at = random_() % 97; at < whole.size(); at += 211) {
      SCOPED_TRACE(std::string(name) + ", byte " + std::to_string(at));
      flip(name, at, static_cast<char>(1 << random_() % 8));
      const auto found = check_replica(
          files_, kDirectory, [](uint64_t, uint64_t) {}, CancelToken());
      for (size_t i = 0; found && i < found->points.size(); ++i) {
        const CheckedPoint& point = found->points[i];
        if (!point.good()) continue;
        std::vector<std::string> chain;
        for (uint64_t s = point.point.lineage.sequence; s > 0; --s)
          chain.push_back(in("vda-1-" + std::to_string(s) + ".qcow2"));
        EXPECT_EQ(read_chain(files_, chain, test_identity().disks[0].size) ==
                      held_.at(point.point.lineage.sequence)[0],
                  true);
      }
      files_.put(in(name), whole);
      if (HasFailure()) return;
    }
  }
}

TEST_F(CheckTest, AMergeCarriesDamageAlongAndNewDataHealIt) {
  for (uint64_t sequence = 1; sequence <= 4; ++sequence) ASSERT_OK(publish(sequence, sequence - 1));
  const auto only_in_2 = [&](uint64_t at) {
    return host_of("vda-1-2.qcow2", at) != 0 && hole("vda-1-3.qcow2", at) && hole("vda-1-4.qcow2", at);
  };
  uint64_t at = 0;
  while (!only_in_2(at)) at += kTestGranule;
  flip("vda-1-2.qcow2", host_of("vda-1-2.qcow2", at) + 5);
  EXPECT_EQ(bad_points(), std::vector<uint64_t>{4});
  EXPECT_EQ(known_bad(), std::vector<uint64_t>()) << "nobody has read it";
  ASSERT_OK(store_->merge(CancelToken()));
  ASSERT_FALSE(*files_.exists(in("vda-1-2.qcow2")));
  EXPECT_EQ(bad_points(), std::vector<uint64_t>{4}) << "what is copied from a damaged file is not whole";
  EXPECT_EQ(known_bad(), std::vector<uint64_t>{4});
  ASSERT_OK(reopen());
  EXPECT_EQ(known_bad(), std::vector<uint64_t>{4});
  // All of the disk once more.
  Changes all = whole_disks(disks_);
  ASSERT_OK(send(*store_, pass_key(5, 0), all));
  ASSERT_OK(send(*store_, delta_key(6, 0), change_disks(random_, disks_)));
  ASSERT_OK(store_->finish(point_request(6, 0), {}));
  EXPECT_EQ(bad_points(), std::vector<uint64_t>());
  EXPECT_EQ(known_bad(), std::vector<uint64_t>());
}

TEST_F(CheckTest, WithoutChecksumsAPointIsNotCalledGood) {
  ASSERT_OK(publish(1, 0, PointKeep::on_demand));
  ASSERT_OK(publish(2, 1, PointKeep::on_demand));
  ASSERT_OK(publish(3, 2));
  ASSERT_OK(files_.remove(in("vda-1-2.qcow2.sums")));
  flip("vdb-1-3.qcow2.sums", 20);
  const auto found = check();
  EXPECT_TRUE(found.points[0].good());
  EXPECT_EQ(found.points[1].unverified, std::vector<std::string>{in("vda-1-2.qcow2")});
  EXPECT_EQ(found.points[2].unverified, (std::vector<std::string>{in("vda-1-2.qcow2"), in("vdb-1-3.qcow2")}));
  // Life goes on: what is merged has checksums as far as what is below has.
  ASSERT_OK(reopen());
  ASSERT_OK(publish(4, 3));
  ASSERT_OK(publish(5, 4));
  ASSERT_OK(store_->merge(CancelToken()));
  expect_all();
}

// A bottom of large clusters takes in small ones: its checksums are of what the clusters hold then.
TEST_F(CheckTest, ABottomOfLargeClustersHasThemToo) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    std::mt19937_64 random(seed);
    const std::string path = "/s/bottom.qcow2";
    const uint64_t size = 10 * 65536 + 1536;
    ASSERT_OK(files_.remove(path));
    auto made = SummedImage::create(files_, path, {size, 65536, {}, OpenMode::create_new});
    ASSERT_OK(made);
    std::unique_ptr<SummedImage> image = std::move(*made);
    Bytes want(size);
    for (int i = 0; i < 200; ++i) {
      const uint64_t at = random() % (size / 512) * 512;
      const uint64_t n = std::min<uint64_t>(512 * (1 + random() % (i % 9 == 0 ? 400 : 20)), size - at);
      const bool zero = random() % 3 == 0;
      const Bytes data = zero ? Bytes(n) : random_bytes(random, n);
      std::copy(data.begin(), data.end(), want.begin() + static_cast<ptrdiff_t>(at));
      ASSERT_OK(zero ? image->zero(at, n) : image->write(at, data));
      if (i % 40 == 39) {
        ASSERT_OK(image->seal());
        image.reset();
        auto opened =
            SummedImage::open(files_, path, i % 80 == 39 ? qcow2::Access::modify : qcow2::Access::resume);
        ASSERT_OK(opened);
        image = std::move(*opened);
      }
    }
    ASSERT_OK(image->seal());
    image.reset();
    const auto plain = qcow2::Image::open(files_, path, qcow2::Access::read);
    ASSERT_OK(plain);
    Bytes read(size);
    ASSERT_OK((*plain)->read(0, read));
    EXPECT_EQ(read == want, true);
    auto sums = Sums::open(files_, sums_path(path), OpenMode::read, (*plain)->header());
    ASSERT_OK(sums);
    ASSERT_NE(*sums, nullptr);
    for (uint64_t at = 0; at < size;) {
      auto run = (*plain)->map(at, size - at);
      ASSERT_OK(run);
      ASSERT_OK((*sums)->compare(at, *run, ByteView(want).subspan(at, run->length),
                                 [&](uint64_t offset, uint64_t) -> Status {
                                   ADD_FAILURE() << "seed " << seed << ", byte " << offset;
                                   return {};
                                 }));
      at += run->length;
    }
  }
}

// A cluster that was damaged does not become whole by a write to a part of it.
TEST_F(CheckTest, AWriteToAPartDoesNotHideDamage) {
  const std::string path = "/s/bottom.qcow2";
  {
    const auto image = SummedImage::create(files_, path, {4 * 65536, 65536, {}, OpenMode::create_new});
    ASSERT_OK(image);
    ASSERT_OK((*image)->write(0, random_bytes(random_, 2 * 65536)));
    ASSERT_OK((*image)->seal());
  }
  uint64_t host = 0;
  {
    const auto image = qcow2::Image::open(files_, path, qcow2::Access::read);
    host = (*image)->map(65536, 1)->host;
  }
  std::string text = files_.content(path);
  text[host + 60000] = static_cast<char>(text[host + 60000] ^ 4);
  files_.put(path, text);
  {
    const auto image = SummedImage::open(files_, path, qcow2::Access::modify);
    ASSERT_OK(image);
    ASSERT_OK((*image)->write(65536 + 4096, random_bytes(random_, 4096)));
    ASSERT_OK((*image)->write(4096, random_bytes(random_, 4096)));
    ASSERT_OK((*image)->seal());
  }
  const auto image = qcow2::Image::open(files_, path, qcow2::Access::read);
  const auto sums = Sums::open(files_, sums_path(path), OpenMode::read, (*image)->header());
  Sum two[2];
  ASSERT_OK((*sums)->get(0, two));
  EXPECT_NE(two[0], Sum::damaged());
  EXPECT_EQ(two[1], Sum::damaged());
}

TEST_F(CheckTest, ACancelledCheckEnds) {
  ASSERT_OK(publish(1, 0));
  CancelToken cancel;
  cancel.cancel();
  EXPECT_CODE(check_replica(
                  files_, kDirectory, [](uint64_t, uint64_t) {}, cancel),
              ErrorCode::cancelled);
}

TEST_F(CheckTest, ADamagedManifestIsNamed) {
  ASSERT_OK(publish(1, 0));
  flip("manifest", 100);
  const auto found = check_replica(
      files_, kDirectory, [](uint64_t, uint64_t) {}, CancelToken());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), ErrorCode::corrupt);
  EXPECT_NE(found.error().message().find(in("manifest")), std::string::npos);
}

}  // namespace
}  // namespace understudy::store
