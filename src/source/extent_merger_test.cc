#include "source/extent_merger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace understudy::source {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kG = 65536;

std::vector<Extent> merge(uint64_t size, const std::vector<Fragment>& fragments, uint64_t from = 0,
                          uint32_t granule = kG) {
  std::vector<Extent> extents;
  ExtentMerger merger(3, from, size, granule, [&](const Extent& e) { extents.push_back(e); });
  for (const Fragment& f : fragments) merger.add(f);
  EXPECT_EQ(merger.position(), size);
  return extents;
}

TEST(ExtentMerger, LeavesOutWhatHasNotChanged) {
  EXPECT_THAT(merge(10 * kG, {{10 * kG, false, false}}), IsEmpty());
  EXPECT_THAT(merge(10 * kG, {{10 * kG, false, true}}), IsEmpty());
}

TEST(ExtentMerger, RoundsChangesOutToGranules) {
  EXPECT_THAT(merge(4 * kG, {{kG + 512, false, false}, {512, true, false}, {3 * kG - 1024, false, false}}),
              ElementsAre(Extent{3, kG, kG, false}));
}

TEST(ExtentMerger, CallsAGranuleZeroOnlyWhenAllOfItIs) {
  // The change is zero, the rest of its granule is old data: left out or sent as zero it would be lost.
  EXPECT_THAT(merge(2 * kG, {{4096, true, true}, {2 * kG - 4096, false, false}}),
              ElementsAre(Extent{3, 0, kG, false}));
  EXPECT_THAT(merge(2 * kG, {{4096, true, true}, {2 * kG - 4096, false, true}}),
              ElementsAre(Extent{3, 0, kG, true}));
  EXPECT_THAT(merge(2 * kG, {{4096, true, false}, {2 * kG - 4096, false, true}}),
              ElementsAre(Extent{3, 0, kG, false}));
}

TEST(ExtentMerger, JoinsNeighboursOfAKind) {
  EXPECT_THAT(merge(8 * kG, {{kG, true, false},
                             {kG, true, false},
                             {kG, true, true},
                             {2 * kG, true, true},
                             {kG, false, true},
                             {2 * kG, true, true}}),
              ElementsAre(Extent{3, 0, 2 * kG, false}, Extent{3, 2 * kG, 3 * kG, true},
                          Extent{3, 6 * kG, 2 * kG, true}));
}

TEST(ExtentMerger, CutsDataToPiecesButNotZeroes) {
  constexpr uint64_t kMiB = 1 << 20;
  EXPECT_THAT(merge(5 * kMiB / 2, {{5 * kMiB / 2, true, false}}),
              ElementsAre(Extent{3, 0, kMiB, false}, Extent{3, kMiB, kMiB, false},
                          Extent{3, 2 * kMiB, kMiB / 2, false}));
  EXPECT_THAT(merge(uint64_t{64} << 40, {{uint64_t{64} << 40, true, true}}),
              ElementsAre(Extent{3, 0, uint64_t{64} << 40, true}));
}

TEST(ExtentMerger, EndsWithAShortGranule) {
  EXPECT_THAT(merge(kG + 512, {{kG, false, false}, {512, true, false}}),
              ElementsAre(Extent{3, kG, 512, false}));
  EXPECT_THAT(merge(kG + 512, {{kG, false, false}, {100, true, true}, {412 + 9999, false, true}}),
              ElementsAre(Extent{3, kG, 512, true}));
}

TEST(ExtentMerger, StartsWhereItIsTold) {
  EXPECT_THAT(merge(4 * kG, {{2 * kG, true, false}}, 2 * kG), ElementsAre(Extent{3, 2 * kG, 2 * kG, false}));
}

// Against the obvious way, byte by byte (in units of 512).
TEST(ExtentMerger, AgreesWithTheObviousWay) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const uint64_t units = 1 + random() % 3000;
    const uint32_t granule = 4096U << random() % 5;
    std::vector<Fragment> fragments;
    std::vector<Fragment> of_unit;
    while (of_unit.size() < units) {
      const uint64_t n =
          std::min<uint64_t>(1 + random() % (random() % 4 == 0 ? 600 : 9), units - of_unit.size());
      const Fragment f{n * 512, random() % 3 == 0, random() % 2 == 0};
      fragments.push_back(f);
      for (uint64_t i = 0; i < n; ++i) of_unit.push_back(f);
    }
    std::vector<char> expected(units, '.'), got(units, '.');
    const uint64_t per = granule / 512;
    for (uint64_t g = 0; g < units; g += per) {
      bool changed = false, zero = true;
      const uint64_t end = std::min(g + per, units);
      for (uint64_t i = g; i < end; ++i) changed |= of_unit[i].changed, zero &= of_unit[i].zero;
      if (changed)
        std::fill(expected.begin() + static_cast<long>(g), expected.begin() + static_cast<long>(end),
                  zero ? 'z' : 'd');
    }
    uint64_t last = 0;
    for (const Extent& e : merge(units * 512, fragments, 0, granule)) {
      EXPECT_GE(e.offset, last);
      EXPECT_EQ(e.offset % granule, 0u);
      EXPECT_TRUE(e.zero || e.length <= limits::kMostExtentData);
      last = e.offset + e.length;
      std::fill(got.begin() + static_cast<long>(e.offset / 512), got.begin() + static_cast<long>(last / 512),
                e.zero ? 'z' : 'd');
    }
    EXPECT_EQ(got, expected) << "round " << round;
  }
}

}  // namespace
}  // namespace understudy::source
