#include "store/qcow2_image.h"

#include <gtest/gtest.h>

#include "store/store_test_support.h"

namespace understudy::store::qcow2 {
namespace {

using Kind = Mapping::Kind;
constexpr uint64_t kOdd = 3 * 1024 * 1024 + 5 * 512;

TEST(Image, ReadsBackWhatWasWrittenInAnyOrder) {
  for (const uint64_t cluster : {4096, 65536}) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      SCOPED_TRACE(std::to_string(cluster) + " seed " + std::to_string(seed));
      CrashFiles files;
      std::mt19937_64 random(seed);
      Bytes model(kOdd);
      auto image = Image::create(files, "/s/a.qcow2", {kOdd, cluster, "", OpenMode::create_new});
      ASSERT_OK(image);
      for (int step = 0; step < 120; ++step) {
        const uint64_t offset = random() % (kOdd / 512) * 512;
        const uint64_t length = std::min<uint64_t>((random() % 300 + 1) * 512, kOdd - offset);
        switch (random() % 8) {
          case 0: {
            ASSERT_OK((*image)->zero(offset, length));
            std::fill_n(model.begin() + static_cast<ptrdiff_t>(offset), length, std::byte{0});
            break;
          }
          case 1:
            ASSERT_OK((*image)->flush());
            break;
          case 2: {
            ASSERT_OK((*image)->seal());
            image = Image::open(files, "/s/a.qcow2", random() % 2 ? Access::modify : Access::resume);
            ASSERT_OK(image);
            break;
          }
          default: {
            const Bytes data = random_bytes(random, length);
            ASSERT_OK((*image)->write(offset, data));
            std::copy(data.begin(), data.end(), model.begin() + static_cast<ptrdiff_t>(offset));
          }
        }
        Bytes piece(length);
        ASSERT_OK((*image)->read(offset, piece));
        ASSERT_TRUE(std::equal(piece.begin(), piece.end(), model.begin() + static_cast<ptrdiff_t>(offset)));
      }
      ASSERT_OK((*image)->seal());
      EXPECT_EQ(check_qcow2(files.content("/s/a.qcow2")), "");
      EXPECT_EQ(read_chain(files, {"/s/a.qcow2"}, kOdd), model);
    }
  }
}

TEST(Image, SequentialWritesGiveASequentialFile) {
  CrashFiles files;
  auto image = Image::create(files, "/s/a.qcow2", {8 << 20, 65536, "", OpenMode::create_new});
  ASSERT_OK(image);
  const Bytes data(1 << 20, std::byte{7});
  for (uint64_t at = 0; at < (8 << 20); at += data.size()) ASSERT_OK((*image)->write(at, data));
  const auto run = (*image)->map(0, 8 << 20);
  ASSERT_OK(run);
  EXPECT_EQ(run->length, uint64_t{8 << 20}) << "one piece";
}

TEST(Image, AnOverlayShowsHolesAndRefusesPartsOfClusters) {
  CrashFiles files;
  auto image = Image::create(files, "/s/b.qcow2", {kOdd, 65536, "a.qcow2", OpenMode::create_new});
  ASSERT_OK(image);
  ASSERT_OK((*image)->write(65536, Bytes(65536, std::byte{1})));
  ASSERT_OK((*image)->zero(2 * 65536, 65536));
  ASSERT_OK((*image)->write(3 << 20, Bytes(kOdd - (3 << 20), std::byte{2})));  // up to the odd end
  EXPECT_CODE((*image)->write(0, Bytes(4096)), ErrorCode::invalid_parameter);
  EXPECT_CODE((*image)->zero(0, 4096), ErrorCode::invalid_parameter);
  EXPECT_CODE((*image)->write(kOdd, Bytes(512)), ErrorCode::invalid_parameter);
  ASSERT_OK((*image)->write(65536 + 512, Bytes(512, std::byte{3})));      // there already
  ASSERT_OK((*image)->write(2 * 65536 + 512, Bytes(512, std::byte{4})));  // over zeroes
  struct Want {
    Kind kind;
    uint64_t length;
  };
  uint64_t at = 0;
  for (const Want& want : {Want{Kind::hole, 65536}, Want{Kind::data, 65536}, Want{Kind::data, 65536},
                           Want{Kind::hole, (3 << 20) - 3 * 65536}, Want{Kind::data, kOdd - (3 << 20)}}) {
    const auto run = (*image)->map(at, kOdd);
    ASSERT_OK(run);
    EXPECT_EQ(run->kind, want.kind) << at;
    EXPECT_EQ(run->length, want.length) << at;
    at += run->length;
  }
  ASSERT_OK((*image)->seal());
  EXPECT_EQ(check_qcow2(files.content("/s/b.qcow2")), "");
  EXPECT_EQ((*image)->header().backing, "a.qcow2");
}

TEST(Image, KeepsWhatWasFlushedAndLeaksNothingAfterACrash) {
  const uint64_t size = 64 * 4096;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CrashFiles files;
    std::mt19937_64 random(seed);
    auto image = Image::create(files, "/s/a.qcow2", {size, 4096, "", OpenMode::create_new});
    ASSERT_OK(image);
    Bytes model(size);
    for (int i = 0; i < 10; ++i) {
      const uint64_t at = random() % 32 * 4096;
      const Bytes data = random_bytes(random, 4096);
      ASSERT_OK((*image)->write(at, data));
      std::copy(data.begin(), data.end(), model.begin() + static_cast<ptrdiff_t>(at));
      if (random() % 3 == 0) {
        ASSERT_OK((*image)->flush());
      }
    }
    ASSERT_OK((*image)->flush());
    ASSERT_OK(files.sync_directory("/s"));
    files.die_at(1 + random() % 30);  // in the upper half of the disk
    for (int i = 0; i < 20; ++i) {
      if (!(*image)->write((32 + random() % 32) * 4096, random_bytes(random, 4096))) break;
      if (random() % 4 == 0 && !(*image)->flush()) break;
    }
    image->reset();
    files.crash(seed);
    auto again = Image::open(files, "/s/a.qcow2", Access::resume);
    ASSERT_OK(again);
    ASSERT_EQ(check_qcow2(files.content("/s/a.qcow2")), "");
    Bytes half(size / 2);
    ASSERT_OK((*again)->read(0, half));
    ASSERT_TRUE(std::equal(half.begin(), half.end(), model.begin()));
    ASSERT_OK((*again)->write(0, random_bytes(random, size)));
    ASSERT_OK((*again)->seal());
    ASSERT_EQ(check_qcow2(files.content("/s/a.qcow2")), "");
  }
}

TEST(Image, ModifyMarksTheImageUntilItIsSealed) {
  CrashFiles files;
  {
    auto image = Image::create(files, "/s/a.qcow2", {1 << 20, 4096, "", OpenMode::create_new});
    ASSERT_OK(image);
    ASSERT_OK((*image)->seal());
    ASSERT_OK(files.sync_directory("/s"));
  }
  {
    auto image = Image::open(files, "/s/a.qcow2", Access::modify);
    ASSERT_OK(image);
    ASSERT_OK((*image)->write(0, Bytes(8192, std::byte{9})));
  }
  files.crash(3);
  EXPECT_EQ(check_qcow2(files.content("/s/a.qcow2")), "marked dirty");
  auto image = Image::open(files, "/s/a.qcow2", Access::modify);
  ASSERT_OK(image);
  ASSERT_OK((*image)->seal());
  EXPECT_EQ(check_qcow2(files.content("/s/a.qcow2")), "");
}

TEST(Image, RefusesADiskTooLargeForItsClusters) {
  CrashFiles files;
  EXPECT_CODE(Image::create(files, "/s/a.qcow2", {8ULL << 40, 4096, "", OpenMode::create_new}),
              ErrorCode::invalid_parameter);
  EXPECT_TRUE(plan_header(64ULL << 40, 65536, ""));
}

// --- what others wrote ---

struct Damage {
  const char* what;
  uint64_t offset;
  int width;
  uint64_t value;
  ErrorCode code;
};

TEST(Header, RefusesWhatIsDamagedOrNotOurs) {
  CrashFiles files;
  {
    auto image = Image::create(files, "/s/a.qcow2", {kOdd, 4096, "base.qcow2", OpenMode::create_new});
    ASSERT_OK(image);
    ASSERT_OK((*image)->write(0, Bytes(4096, std::byte{1})));
    ASSERT_OK((*image)->seal());
  }
  const std::string good = files.content("/s/a.qcow2");
  const Damage table[] = {
      {"magic", 0, 4, 0x51464900, ErrorCode::corrupt},
      {"version 2", 4, 4, 2, ErrorCode::not_supported},
      {"version 4", 4, 4, 4, ErrorCode::not_supported},
      {"backing name behind the file", 8, 8, 1ULL << 60, ErrorCode::corrupt},
      {"backing name over the header", 8, 8, 8, ErrorCode::corrupt},
      {"backing name too long", 16, 4, 1024, ErrorCode::corrupt},
      {"backing name empty", 16, 4, 0, ErrorCode::corrupt},
      {"tiny clusters", 20, 4, 9, ErrorCode::corrupt},
      {"huge clusters", 20, 4, 63, ErrorCode::corrupt},
      {"no size", 24, 8, 0, ErrorCode::corrupt},
      {"odd size", 24, 8, 4095, ErrorCode::corrupt},
      {"huge size", 24, 8, ~uint64_t{0} << 9, ErrorCode::corrupt},
      {"size behind L1", 24, 8, 1ULL << 40, ErrorCode::corrupt},
      {"encryption", 32, 4, 1, ErrorCode::not_supported},
      {"L1 too short", 36, 4, 1, ErrorCode::corrupt},
      {"L1 too long", 36, 4, 0xffffffff, ErrorCode::corrupt},
      {"L1 in the header", 40, 8, 0, ErrorCode::corrupt},
      {"L1 unaligned", 40, 8, 4097, ErrorCode::corrupt},
      {"L1 outside", 40, 8, 1ULL << 40, ErrorCode::corrupt},
      {"L1 far outside", 40, 8, ~uint64_t{0} << 12, ErrorCode::corrupt},
      {"refcounts outside", 48, 8, 1ULL << 40, ErrorCode::corrupt},
      {"no refcounts", 56, 4, 0, ErrorCode::corrupt},
      {"too many refcounts", 56, 4, 0xffffffff, ErrorCode::corrupt},
      {"snapshots", 60, 4, 1, ErrorCode::not_supported},
      {"marked corrupt", 72, 8, 2, ErrorCode::not_supported},
      {"data file", 72, 8, 4, ErrorCode::not_supported},
      {"compression type", 72, 8, 8, ErrorCode::not_supported},
      {"sub-clusters", 72, 8, 16, ErrorCode::not_supported},
      {"unknown feature", 72, 8, 1ULL << 40, ErrorCode::not_supported},
      {"refcount width", 96, 4, 3, ErrorCode::not_supported},
      {"header length", 100, 4, 72, ErrorCode::corrupt},
      {"header length huge", 100, 4, 0xfffffff8, ErrorCode::corrupt},
      {"extension too long", 108, 4, 0xfffffff0, ErrorCode::corrupt},
  };
  for (const Damage& d : table) {
    SCOPED_TRACE(d.what);
    std::string bad = good;
    auto* at = reinterpret_cast<std::byte*>(bad.data()) + d.offset;
    if (d.width == 4)
      store_be(at, static_cast<uint32_t>(d.value));
    else
      store_be(at, d.value);
    files.put("/s/bad.qcow2", bad);
    EXPECT_CODE(Image::open(files, "/s/bad.qcow2", Access::read), d.code);
    EXPECT_CODE(Image::open(files, "/s/bad.qcow2", Access::resume), d.code);
  }
  for (const size_t length : {0, 3, 103, 104, 111, 4095, 4096, 8192}) {
    files.put("/s/bad.qcow2", good.substr(0, length));
    EXPECT_CODE(Image::open(files, "/s/bad.qcow2", Access::read), ErrorCode::corrupt);
  }
}

TEST(Image, SurvivesDamagedTables) {
  const uint64_t size = 1 << 20;
  CrashFiles files;
  {
    auto image = Image::create(files, "/s/a.qcow2", {size, 4096, "", OpenMode::create_new});
    ASSERT_OK(image);
    ASSERT_OK((*image)->write(0, Bytes(size / 2, std::byte{1})));
    ASSERT_OK((*image)->seal());
  }
  const std::string good = files.content("/s/a.qcow2");
  std::mt19937_64 random(11);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (int i = 0; i < 3; ++i)
      bad[random() % (20 * 4096)] = static_cast<char>(random());  // all tables are there
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    files.put("/s/bad.qcow2", bad);
    auto image = Image::open(files, "/s/bad.qcow2", random() % 2 ? Access::read : Access::modify);
    if (!image) {
      ++refused;
      continue;
    }
    for (uint64_t at = 0; at < (*image)->header().size && at < size;) {
      const auto run = (*image)->map(at, size);
      if (!run) break;
      Bytes piece(run->length);
      if (!(*image)->read(at, piece)) break;
      at += run->length;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 2000);
}

// A damaged entry is no reason to make the file as long as its refcounts could describe.
TEST(Image, CountingRefusesDataOutsideTheFile) {
  CrashFiles files;
  {
    auto image = Image::create(files, "/s/a.qcow2", {1 << 20, 4096, "", OpenMode::create_new});
    ASSERT_OK(image);
    ASSERT_OK((*image)->write(0, Bytes(4096, std::byte{1})));
    ASSERT_OK((*image)->seal());
  }
  std::string bad = files.content("/s/a.qcow2");
  auto* bytes = reinterpret_cast<std::byte*>(bad.data());
  const uint64_t l2 = load_be<uint64_t>(bytes + load_be<uint64_t>(bytes + 40)) & 0x00fffffffffffe00;
  store_be(bytes + l2 + 8, uint64_t{1} << 63 | 50 << 20);
  files.put("/s/a.qcow2", bad);
  EXPECT_CODE(Image::open(files, "/s/a.qcow2", Access::resume), ErrorCode::corrupt);
  EXPECT_EQ(files.content("/s/a.qcow2").size(), bad.size());
}

TEST(Image, RefusesEntriesThatPointAside) {
  CrashFiles files;
  {
    auto image = Image::create(files, "/s/a.qcow2", {1 << 20, 4096, "", OpenMode::create_new});
    ASSERT_OK(image);
    ASSERT_OK((*image)->write(0, Bytes(8192, std::byte{1})));
    ASSERT_OK((*image)->seal());
  }
  const std::string good = files.content("/s/a.qcow2");
  const auto* bytes = reinterpret_cast<const std::byte*>(good.data());
  const uint64_t l1 = load_be<uint64_t>(bytes + 40);
  const uint64_t l2 = load_be<uint64_t>(bytes + l1) & 0x00fffffffffffe00;
  const auto with = [&](uint64_t at, uint64_t value) {
    std::string bad = good;
    store_be(reinterpret_cast<std::byte*>(bad.data()) + at, value);
    files.put("/s/bad.qcow2", bad);
    auto image = Image::open(files, "/s/bad.qcow2", Access::read);
    Bytes piece(4096);
    return image ? (*image)->read(0, piece) : Status(fail(image.error()));
  };
  EXPECT_CODE(with(l1, 1ULL << 50), ErrorCode::corrupt);
  EXPECT_CODE(with(l1, l2 + 512), ErrorCode::corrupt);
  EXPECT_CODE(with(l1, l2 | 2), ErrorCode::corrupt);
  EXPECT_CODE(with(l2, 1ULL << 50), ErrorCode::corrupt);
  EXPECT_CODE(with(l2, l1 + 512), ErrorCode::corrupt);
  EXPECT_CODE(with(l2, 1ULL << 62), ErrorCode::not_supported);
  // The same cluster twice is found when all are counted.
  std::string bad = good;
  std::memcpy(bad.data() + l2, bad.data() + l2 + 8, 8);
  files.put("/s/bad.qcow2", bad);
  EXPECT_CODE(Image::open(files, "/s/bad.qcow2", Access::resume), ErrorCode::corrupt);
}

}  // namespace
}  // namespace understudy::store::qcow2
