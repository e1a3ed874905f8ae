#include "store/retention.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace understudy::store {
namespace {

constexpr PointKeep n = PointKeep::no;
constexpr PointKeep h = PointKeep::hourly;
constexpr PointKeep d = PointKeep::on_demand;

using Listed = std::vector<bool>;

TEST(Retention, TheNewestIsListedWhateverItIs) {
  EXPECT_EQ(stay_listed({}, {}), Listed{});
  for (const PointKeep keep : {n, h, d}) EXPECT_EQ(stay_listed({keep}, {0}), Listed{true});
  EXPECT_EQ(stay_listed({h, h}, {0}), (Listed{false, true}));
}

TEST(Retention, WhatWasOnlyTheNewestGoes) {
  EXPECT_EQ(stay_listed({n, n}, {24}), (Listed{false, true}));
  EXPECT_EQ(stay_listed({h, n, h, n}, {24}), (Listed{true, false, true, true}));
}

TEST(Retention, TheOldestOfEachKindGoesFirst) {
  EXPECT_EQ(stay_listed({h, d, h, h, n}, {2}), (Listed{false, true, true, true, true}));
  EXPECT_EQ(stay_listed({h, h, h}, {2}), (Listed{false, true, true})) << "the newest counts";
  EXPECT_EQ(stay_listed({d, h, d, d, d, d}, {1}), (Listed{false, true, true, true, true, true}));
  EXPECT_EQ(stay_listed({h, d, n}, {0}), (Listed{false, true, true}));
}

TEST(Retention, NeverListsMoreThanAChainHolds) {
  std::vector<PointKeep> points;
  for (int i = 0; i < 100; ++i) points.push_back(i % 3 == 0 ? d : h);
  points.push_back(n);
  const auto stays = stay_listed(points, {1000});
  EXPECT_EQ(std::count(stays.begin(), stays.end(), true), limits::kMostHourly + limits::kMostOnDemand + 1);
}

}  // namespace
}  // namespace understudy::store
