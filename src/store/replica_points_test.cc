// Many points: retention, merges in the middle of a chain, what is kept beside the disks, views, reverts,
// resyncs.
#include <gtest/gtest.h>

#include "base/limits.h"
#include "store/machine_file.h"
#include "store/replica_fixture_test_support.h"
#include "store/seal.h"

namespace understudy::store {
namespace {

using Sequences = std::vector<uint64_t>;
constexpr PointKeep kHourly = PointKeep::hourly;
constexpr PointKeep kOnDemand = PointKeep::on_demand;

class Points : public ReplicaTest {
 protected:
  Sequences chain(uint64_t point, size_t disk = 0) {  // bottom first
    Sequences sequences;
    const auto chains = store_->chains(point_id(point));
    EXPECT_OK(chains);
    if (!chains) return {};
    for (const std::string& path : chains->at(disk)) {
      const size_t at = path.rfind('-') + 1;
      sequences.insert(sequences.begin(), std::stoull(path.substr(at)));
    }
    return sequences;
  }
  bool there(const std::string& name) { return *files_.exists(in(name)); }
};

TEST_F(Points, StayListedForAsLongAsTheyAreKept) {
  const Retention two{2};
  ASSERT_OK(publish(1, 0, kHourly, two));
  ASSERT_OK(publish(2, 1, PointKeep::no, two));
  ASSERT_OK(publish(3, 2, kOnDemand, two));
  ASSERT_OK(publish(4, 3, kHourly, two));
  ASSERT_OK(publish(5, 4, PointKeep::no, two));
  EXPECT_EQ(listed(), (Sequences{1, 3, 4, 5}));
  expect_all();
  EXPECT_EQ(store_->points()[1].keep, kOnDemand);
  ASSERT_OK(publish(6, 5, kHourly, two));
  EXPECT_EQ(listed(), (Sequences{3, 4, 6}));
  EXPECT_CODE(store_->chains(point_id(1)), ErrorCode::not_found);
  EXPECT_CODE(store_->view(point_id(1)), ErrorCode::not_found);
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(chain(6), (Sequences{3, 4, 5, 6}));
  expect_all();
  ASSERT_OK(reopen());
  EXPECT_EQ(listed(), (Sequences{3, 4, 6}));
  expect_all();
  PointRequest again = point_request(7, 6);
  again.id = point_id(4);
  ASSERT_OK(store_->begin(again.key, kTestGranule));
  EXPECT_CODE(store_->finish(again, {}), ErrorCode::invalid_parameter) << "that id is a point";
}

TEST_F(Points, MergeTheOldestPairFirst) {
  for (uint64_t s = 1; s <= 8; ++s)
    ASSERT_OK(publish(s, s == 1 ? 0 : s - 1, s == 3 ? kHourly : PointKeep::no, {24}));
  EXPECT_EQ(chain(8), (Sequences{1, 2, 3, 4, 5, 6, 7, 8}));
  // Killed ever later, each time a little further: one pair after the other, on all disks.
  Sequences before = chain(8);
  for (const Sequences& want : {Sequences{2, 3, 4, 5, 6, 7, 8}, Sequences{3, 4, 5, 6, 7, 8},
                                Sequences{3, 5, 6, 7, 8}, Sequences{3, 6, 7, 8}, Sequences{3, 7, 8}}) {
    ASSERT_TRUE(store_->merge_due());
    for (uint64_t n = 1; chain(8, 0) != want || chain(8, 1) != want; ++n) {
      files_.die_at(n);
      (void)store_->merge(CancelToken());
      store_.reset();
      files_.restart_process();
      auto again = ReplicaStore::open(files_, kDirectory);
      ASSERT_OK(again);
      store_ = std::move(*again);
      for (size_t disk = 0; disk < 2; ++disk)
        ASSERT_TRUE(chain(8, disk) == before || chain(8, disk) == want) << "killed at " << n;
    }
    expect_all();
    before = want;
  }
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_FALSE(store_->merge_due());
  EXPECT_EQ(chain(8), before);
}

TEST_F(Points, ADayOfHoursIsAShortChain) {
  const Retention day{24};
  uint64_t s = 1;
  ASSERT_OK(publish(s, 0, kHourly, day));
  for (int hour = 0; hour < 30; ++hour) {
    for (int cycle = 0; cycle < 3; ++cycle, ++s)
      ASSERT_OK(publish(s + 1, s, cycle == 2 ? kHourly : PointKeep::no, day));
    ASSERT_OK(store_->merge(CancelToken()));
    EXPECT_LE(chain(s).size(), 24u + 2u);
  }
  EXPECT_EQ(listed().size(), 24u);
  expect_all();
  ASSERT_OK(publish(s + 1, s, PointKeep::no, {0}));
  EXPECT_EQ(listed(), (Sequences{s + 1}));
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(chain(s + 1), (Sequences{s, s + 1}));
  expect_all();
}

TEST_F(Points, LargerClustersInTheMiddleAreLeftAlone) {
  ASSERT_OK(publish(1, 0, kHourly, {24}));
  ASSERT_OK(store_->begin(delta_key(2, 1), 65536));
  for (uint32_t d = 0; d < disks_.size(); ++d)
    ASSERT_OK(store_->write(d, 0, ByteView(disks_[d]).first(std::min<size_t>(65536, disks_[d].size()))));
  ASSERT_OK(store_->finish(point_request(2, 1), {24}));
  held_[2] = disks_;
  for (uint64_t s = 3; s <= 5; ++s) ASSERT_OK(publish(s, s - 1, PointKeep::no, {24}));
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(chain(5), (Sequences{1, 2, 4, 5})) << "4 KiB of point 3 are not a whole cluster of point 2";
  expect_all();
  ASSERT_OK(publish(6, 5, PointKeep::no, {0}));
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(chain(6), (Sequences{5, 6})) << "in the bottom everything fits";
  ASSERT_OK(reopen());
  expect_all();
}

TEST_F(Points, AViewKeepsWhatItShows) {
  const Retention one{1};
  ASSERT_OK(publish(1, 0, kHourly, one));
  ASSERT_OK(publish(2, 1, PointKeep::no, one));
  ASSERT_OK(publish(3, 2, kHourly, {2}));
  auto old = store_->view(point_id(1));
  auto newest = store_->view(Uuid());
  ASSERT_OK(old);
  ASSERT_OK(newest);
  EXPECT_EQ((*newest)->point().id, point_id(3));
  EXPECT_EQ((*newest)->disks(), test_identity().disks);
  for (uint64_t s = 4; s <= 9; ++s) {
    ASSERT_OK(publish(s, s - 1, s % 3 == 0 ? kHourly : PointKeep::no, one));
    ASSERT_OK(store_->merge(CancelToken()));
    for (uint32_t d = 0; d < 2; ++d) {
      EXPECT_EQ(read_view(**old, d) == held_[1][d], true) << "delisted, with point 2 on it";
      EXPECT_EQ(read_view(**newest, d) == held_[3][d], true);
    }
  }
  EXPECT_EQ(listed(), (Sequences{9}));
  EXPECT_EQ(chain(9), (Sequences{1, 3, 8, 9}));
  old->reset();
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(chain(9), (Sequences{3, 8, 9}));
  Bytes piece(512);
  EXPECT_CODE((*newest)->read(2, 0, piece), ErrorCode::invalid_parameter);
  EXPECT_CODE((*newest)->read(0, disks_[0].size() - 511, piece), ErrorCode::invalid_parameter);
  EXPECT_CODE((*newest)->map(0, disks_[0].size() + 1, 1), ErrorCode::invalid_parameter);
  EXPECT_EQ((*newest)->map(0, disks_[0].size(), 512)->length, 0u);
  store_.reset();
  EXPECT_EQ(read_view(**newest, 0) == held_[3][0], true) << "it outlives the store";
}

TEST_F(Points, KeepTheMachineAsOfTheirCut) {
  const auto finish = [&](uint64_t s, const std::string& definition, const std::string& nvram) {
    const Changes changes = s == 1 ? whole_disks(disks_) : change_disks(random_, disks_);
    EXPECT_OK(send(*store_, delta_key(s, s - 1), changes));
    PointRequest request = point_request(s, s - 1);
    request.keep = kHourly;
    request.definition = definition;
    request.nvram.assign(as_bytes(nvram).begin(), as_bytes(nvram).end());
    return store_->finish(request, {3});
  };
  const auto definition = [&](uint64_t s) {
    const auto machine = store_->machine(point_id(s));
    return machine ? machine->definition + "|" + std::string(as_text(machine->nvram)) : "?";
  };
  ASSERT_OK(finish(1, "", "unused"));
  EXPECT_EQ(definition(1), "|");
  ASSERT_OK(finish(2, "<a/>\n", std::string("\0\xff\n", 3)));
  ASSERT_OK(finish(3, "", ""));
  ASSERT_OK(finish(4, "<a/>\n", std::string("\0\xff\n", 3)));
  EXPECT_EQ(listed(), (Sequences{2, 3, 4}));
  for (const uint64_t s : {2, 3, 4}) EXPECT_EQ(definition(s), std::string("<a/>\n|\0\xff\n", 9)) << s;
  EXPECT_FALSE(there("machine-1-4")) << "nothing changed";
  ASSERT_OK(finish(5, "<b/>", ""));
  ASSERT_OK(finish(6, "", ""));
  EXPECT_EQ(definition(6), "<b/>|");
  EXPECT_TRUE(there("machine-1-2"));
  files_.put(in("machine-1-3"), "left by a crash");
  files_.put(in("machine-1-3.tmp"), "left by a crash");
  ASSERT_OK(reopen());
  EXPECT_FALSE(there("machine-1-3"));
  EXPECT_FALSE(there("machine-1-3.tmp"));
  ASSERT_OK(finish(7, "", ""));
  EXPECT_EQ(listed(), (Sequences{5, 6, 7}));
  EXPECT_FALSE(there("machine-1-2")) << "no listed point names it";
  EXPECT_EQ(definition(5), "<b/>|");
  EXPECT_CODE(store_->machine(point_id(4)), ErrorCode::not_found);
  EXPECT_CODE(finish(8, std::string(limits::kMostDefinition + 1, 'x'), ""), ErrorCode::invalid_parameter);
  EXPECT_CODE(finish(8, "<c/>", std::string(limits::kMostNvram + 1, 'x')), ErrorCode::invalid_parameter);
  EXPECT_OK(finish(8, std::string(limits::kMostDefinition, 'x'), std::string(limits::kMostNvram, 'x')));
  EXPECT_EQ(definition(8).size(), limits::kMostDefinition + limits::kMostNvram + 1);
  const std::string good = files_.content(in("machine-1-8"));
  for (const std::string& bad : {good.substr(1), good.substr(0, 400), std::string()}) {
    files_.put(in("machine-1-8"), bad);
    EXPECT_CODE(reopen(), ErrorCode::corrupt);
  }
  ASSERT_OK(files_.remove(in("machine-1-8")));
  ASSERT_OK(files_.sync_directory(kDirectory));
  EXPECT_CODE(reopen(), ErrorCode::corrupt);
}

TEST(Machine, EndsWithItsNewline) {
  EXPECT_TRUE(decode_machine(sealed("understudy-machine 1\n1 0\na\n")));
  EXPECT_CODE(decode_machine(sealed("understudy-machine 1\n1 0\nab")), ErrorCode::corrupt);
}

TEST_F(Points, TheManifestCarriesWhatAnOwnerNeeds) {
  ASSERT_OK(store_->destroy());
  ReplicaIdentity identity = test_identity();
  identity.primary = "alpha.example";
  identity.settings = "frequency = 30\n\"\xc3\xa4\"";
  auto made = ReplicaStore::create(files_, kDirectory, identity);
  ASSERT_OK(made);
  store_ = std::move(*made);
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->identity(), identity);
  const ReplicaIdentity& before = store_->identity();
  ASSERT_OK(store_->set_settings("frequency = 300"));
  EXPECT_EQ(store_->settings(), "frequency = 300");
  EXPECT_EQ(before.settings, identity.settings) << "who looks at it is not disturbed";
  EXPECT_CODE(store_->set_settings(std::string(limits::kMostSettings + 1, 'x')),
              ErrorCode::invalid_parameter);
  EXPECT_CODE(store_->set_settings("\xff"), ErrorCode::invalid_parameter)
      << "it would not come back as it was";
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->settings(), "frequency = 300");
  EXPECT_EQ(store_->identity().primary, "alpha.example");
  ASSERT_OK(store_->set_settings(std::string(limits::kMostSettings, '\x01')));
  ASSERT_OK(reopen());
  ASSERT_OK(store_->destroy());
  identity.settings = "\xff";
  EXPECT_CODE(ReplicaStore::create(files_, kDirectory, identity), ErrorCode::invalid_parameter);
}

TEST_F(Points, AnotherSenderBeginsAnewAndIsThePrimaryFromThenOn) {
  ASSERT_OK(store_->destroy());
  ReplicaIdentity identity = test_identity();
  identity.primary = "alpha";
  auto made = ReplicaStore::create(files_, kDirectory, identity);
  ASSERT_OK(made);
  store_ = std::move(*made);
  ASSERT_OK(store_->begin(pass_key(1, 0), kTestGranule, "alpha"));
  EXPECT_CODE(store_->begin(delta_key(2, 0), kTestGranule, "beta"), ErrorCode::invalid_state)
      << "it would look like a whole copy";
  ASSERT_TRUE(store_->staging());
  ASSERT_OK(store_->drop_staging());
  ASSERT_OK(publish(1, 0, kHourly, {24}));
  // alpha is in the middle of a resync, far ahead in numbers.
  ASSERT_OK(store_->begin(pass_key(9, 0), kTestGranule, "alpha"));
  ASSERT_OK(store_->write(0, 0, Bytes(kTestGranule, std::byte{7})));
  ASSERT_OK(store_->advance({0, kTestGranule}));
  EXPECT_EQ(*store_->begin(pass_key(9, 0), kTestGranule, "alpha"), (Cursor{0, kTestGranule}));

  EXPECT_CODE(store_->begin(pass_key(9, 1), kTestGranule, "beta"), ErrorCode::invalid_state);
  EXPECT_CODE(store_->begin(delta_key(9, 0), kTestGranule, "beta"), ErrorCode::invalid_state);
  EXPECT_CODE(store_->begin(pass_key(1, 0), kTestGranule, "beta"), ErrorCode::invalid_state);
  ASSERT_TRUE(store_->staging()) << "a refusal leaves what there was";
  // The very same key: nothing of alpha's goes on.
  EXPECT_EQ(*store_->begin(pass_key(9, 0), kTestGranule, "beta"), Cursor{});
  ASSERT_OK(store_->advance({0, kTestGranule}));
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->identity().primary, "beta");
  EXPECT_EQ(*store_->begin(pass_key(9, 0), kTestGranule, "beta"), (Cursor{0, kTestGranule}));
  // Back again, with a lower number than what is staged.
  EXPECT_EQ(*store_->begin(pass_key(2, 0), kTestGranule, "alpha"), Cursor{});
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->identity().primary, "alpha");
  // The changes since the newest point need nothing that is staged; who may send them, the owner knows.
  EXPECT_EQ(*store_->begin(delta_key(3, 1), kTestGranule, "beta"), Cursor{});
  expect_all();
}

TEST_F(Points, ARevertGivesEveryPointBack) {
  ASSERT_OK(publish(1, 0, kHourly, {24}));
  ASSERT_OK(publish(2, 1, PointKeep::no, {24}));
  ASSERT_OK(store_->revert(Wall{5})) << "there is none";
  EXPECT_EQ(store_->generation_spent(), 1u);
  ASSERT_OK(store_->fail_over(point_id(2), 4));
  EXPECT_EQ(store_->generation_spent(), 4u);
  files_.put(store_->active_path(0), files_.content(store_->active_path(0)) + "a guest's writes");
  const std::string guest = files_.content(store_->active_path(0));
  ASSERT_OK(store_->revert(Wall{1000}));
  ASSERT_OK(store_->revert(Wall{2000}));
  EXPECT_FALSE(store_->failed_over());
  EXPECT_EQ(store_->generation(), 1u);
  EXPECT_EQ(store_->generation_spent(), 4u);
  const auto aside = store_->set_aside();
  ASSERT_EQ(aside.size(), 1u);
  EXPECT_EQ(aside[0].generation, 4u);
  EXPECT_EQ(aside[0].since, Wall{1000});
  EXPECT_EQ(aside[0].files,
            (std::vector<std::string>{in("vda-reverted-4.qcow2"), in("vdb-reverted-4.qcow2")}));
  EXPECT_GT(aside[0].bytes, guest.size());
  EXPECT_EQ(files_.content(aside[0].files[0]), guest);
  EXPECT_FALSE(there("vda-active.qcow2"));
  EXPECT_EQ(listed(), (Sequences{1, 2}));
  // Replication goes on from the newest point; what the overlays are on stays as it is.
  for (uint64_t s = 3; s <= 6; ++s) ASSERT_OK(publish(s, s - 1));
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(listed(), (Sequences{6}));
  EXPECT_EQ(chain(6), (Sequences{2, 5, 6}));
  EXPECT_EQ(read_chain(files_, {aside[0].files[0], in("vda-1-2.qcow2")}, disks_[0].size()) == held_[2][0],
            true);
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->set_aside(), aside);
  expect_all();
  for (const uint64_t spent : {1, 3, 4})
    EXPECT_CODE(store_->fail_over(point_id(6), spent), ErrorCode::invalid_parameter);
  ASSERT_OK(store_->fail_over(point_id(6), 5));
  ASSERT_OK(store_->revert(Wall{3000}));
  EXPECT_EQ(store_->set_aside().size(), 2u);
  ASSERT_OK(store_->drop_set_aside(Wall{1000}));
  EXPECT_EQ(store_->set_aside().size(), 2u) << "not before its time";
  ASSERT_OK(store_->drop_set_aside(Wall{3000}));
  ASSERT_EQ(store_->set_aside().size(), 1u);
  EXPECT_EQ(store_->set_aside()[0].generation, 5u);
  EXPECT_FALSE(there("vda-reverted-4.qcow2"));
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(chain(6), (Sequences{5, 6}));
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->generation_spent(), 5u);
  ASSERT_OK(store_->destroy());
  EXPECT_FALSE(*files_.exists(kDirectory));
}

TEST_F(Points, ABrokenChainIsGivenToNobody) {
  ASSERT_OK(publish(1, 0, kHourly, {24}));
  ASSERT_OK(publish(2, 1, PointKeep::no, {24}));
  const std::string below = in("vdb-1-1.qcow2");
  const std::string good = files_.content(below);
  ASSERT_OK(files_.remove(below));
  EXPECT_CODE(store_->fail_over(point_id(2), 2), ErrorCode::not_found);
  files_.put(below, "no image");
  EXPECT_CODE(store_->fail_over(point_id(2), 2), ErrorCode::corrupt);
  EXPECT_EQ(store_->generation_spent(), 1u) << "nothing has changed";
  EXPECT_FALSE(store_->failed_over() || there("vda-active.qcow2"));
  files_.put(below, good);
  files_.put(in("vda-1-2.qcow2"), "no image");
  EXPECT_CODE(store_->fail_over(point_id(2), 2), ErrorCode::corrupt);
  ASSERT_OK(store_->fail_over(point_id(1), 2)) << "damage above a point does not keep anybody from it";
}

TEST_F(Points, ARetiredReplicaLeavesOrdinaryFiles) {
  ASSERT_OK(publish(1, 0, kHourly, {24}));
  ASSERT_OK(publish(2, 1, PointKeep::no, {24}));
  EXPECT_CODE(store_->retire(), ErrorCode::invalid_state) << "nothing has an overlay on it";
  EXPECT_TRUE(store_->failover_point().nil());
  ASSERT_OK(store_->fail_over(point_id(2), 2));
  EXPECT_EQ(store_->failover_point(), point_id(2));
  ASSERT_OK(store_->retire());
  EXPECT_CODE(store_->revert(Wall{1}), ErrorCode::not_found);
  EXPECT_TRUE(there("vda-active.qcow2") && there("vda-1-2.qcow2") && there("vda-1-1.qcow2"));
  EXPECT_TRUE(there("manifest.retired"));
  EXPECT_EQ(read_chain(files_, {in("vda-active.qcow2"), in("vda-1-2.qcow2"), in("vda-1-1.qcow2")},
                       disks_[0].size()) == held_[2][0],
            true);
  EXPECT_CODE(reopen(), ErrorCode::not_found);
  const auto again = ReplicaStore::create(files_, kDirectory, test_identity());
  ASSERT_FALSE(again) << "the files of a VM are in it";
  EXPECT_TRUE(there("vda-active.qcow2"));
}

TEST_F(Points, WhatIsSetAsideGivesWayOldestFirst) {
  ASSERT_OK(publish(1, 0));
  uint64_t generation = 1;
  const auto there_and_back = [&] {
    ASSERT_OK(store_->fail_over(store_->points().back().id, ++generation));
    ASSERT_OK(store_->revert(Wall{static_cast<int64_t>(generation)}));
  };
  for (size_t i = 0; i <= limits::kMostSetAside; ++i) there_and_back();
  std::vector<SetAside> kept = store_->set_aside();
  ASSERT_EQ(kept.size(), limits::kMostSetAside) << "one more revert is no reason to refuse";
  EXPECT_EQ(kept.front().generation, 3u);
  EXPECT_FALSE(there("vda-reverted-2.qcow2"));
  EXPECT_TRUE(there("vda-reverted-3.qcow2"));

  auto freed = store_->make_room(kept[0].bytes + 1);
  ASSERT_OK(freed);
  EXPECT_EQ(*freed, kept[0].bytes + kept[1].bytes);
  EXPECT_EQ(store_->set_aside(), std::vector<SetAside>(kept.begin() + 2, kept.end()));
  ASSERT_OK(reopen());
  EXPECT_FALSE(there("vda-reverted-4.qcow2"));
  EXPECT_EQ(*store_->make_room(0), 0u);
  ASSERT_OK(store_->make_room(UINT64_MAX));
  EXPECT_TRUE(store_->set_aside().empty());
  EXPECT_EQ(*store_->make_room(UINT64_MAX), 0u);
  expect_all();
}

TEST_F(Points, WhatIsSetAsideDoesNotKeepTheChainLong) {
  ASSERT_OK(publish(1, 0, PointKeep::no, {24}));
  for (uint64_t s = 2; s <= 60; ++s) {  // a drill at each of many points
    ASSERT_OK(store_->fail_over(store_->points().back().id, s));
    ASSERT_OK(store_->revert(Wall{static_cast<int64_t>(s)}));
    Status made = publish(s, s - 1, s % 2 != 0 ? PointKeep::no : kHourly, {24});
    if (!made) {
      EXPECT_CODE(made, ErrorCode::in_use) << "merges come first";
      ASSERT_TRUE(store_->merge_due());
      ASSERT_OK(store_->merge(CancelToken()));
      made = publish(s, s - 1, s % 2 != 0 ? PointKeep::no : kHourly, {24});
    }
    ASSERT_OK(made);
    ASSERT_LE(chain(s).size(), limits::kMostChainDepth);
    ASSERT_OK(store_->merge(CancelToken()));
  }
  EXPECT_FALSE(store_->set_aside().empty()) << "what there is room for stays";
  EXPECT_EQ(listed().size(), 24u);
  expect_all();
}

TEST_F(Points, WhatIsSetAsideIsNeverOverwrittenOrRemovedByAStart) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(store_->fail_over(point_id(1), 2));
  ASSERT_OK(store_->revert(Wall{1000}));
  files_.put(in("vda-reverted-9.qcow2"), "of another time");
  files_.put(in("vda-active.qcow2"), "a guest's writes");
  EXPECT_CODE(reopen(), ErrorCode::corrupt) << "the revert is over: it does not explain this file";
  tamper("\"reverting\": false", "\"reverting\": true");
  EXPECT_CODE(reopen(), ErrorCode::corrupt) << "both may hold what a guest wrote";
  EXPECT_EQ(files_.content(in("vda-active.qcow2")), "a guest's writes");
  ASSERT_OK(files_.rename(in("vda-reverted-2.qcow2"), in("elsewhere")));
  ASSERT_OK(files_.sync_directory(kDirectory));
  ASSERT_OK(reopen());
  EXPECT_EQ(files_.content(in("vda-reverted-2.qcow2")), "a guest's writes");
  EXPECT_TRUE(there("vda-reverted-9.qcow2"));
}

TEST_F(Points, AResyncIsOneMoreOverlay) {
  ASSERT_OK(publish(1, 0, kHourly, {24}));
  ASSERT_OK(publish(2, 1, PointKeep::no, {24}));
  EXPECT_EQ(*store_->begin(pass_key(3, 0), kTestGranule), (Cursor{0, 0}));
  EXPECT_CODE(store_->write(0, 512, Bytes(4096)), ErrorCode::protocol) << "an overlay takes whole granules";
  EXPECT_CODE(store_->zero(0, 0, 512), ErrorCode::protocol);
  ASSERT_OK(send(*store_, pass_key(3, 0), change_disks(random_, disks_)));
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->staging()->key, pass_key(3, 0));
  ASSERT_OK(send(*store_, pass_key(4, 1), change_disks(random_, disks_)));
  expect_all();
  ASSERT_OK(send(*store_, delta_key(5, 0), change_disks(random_, disks_)));
  ASSERT_OK(store_->finish(point_request(5, 0), {24}));
  held_[5] = disks_;
  EXPECT_EQ(listed(), (Sequences{1, 5}));
  EXPECT_EQ(chain(5), (Sequences{1, 2, 3, 5}));
  expect_all();
  ASSERT_OK(reopen());
  expect_all();
  ASSERT_OK(publish(6, 5, PointKeep::no, {24}));
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_EQ(chain(6), (Sequences{1, 5, 6}));
  expect_all();
}

// The rename of the manifest is done, its sync fails: it is reverted, and says so.
TEST_F(Points, ARevertWhoseEndIsNotKnownAsksTheDisk) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(store_->fail_over(point_id(1), 2));
  bool renamed = false;
  files_.judge([&](CrashFiles::Operation operation, const std::string& path) -> CrashFiles::Verdict {
    if (operation == CrashFiles::Operation::name && path.ends_with("/manifest")) renamed = true;
    if (operation != CrashFiles::Operation::sync_names || !std::exchange(renamed, false)) return {};
    return {Error(ErrorCode::failed, "input/output error")};
  });
  const Status reverted = store_->revert(Wall{1});
  files_.judge(nullptr);
  ASSERT_OK(store_->make_sure());
  EXPECT_FALSE(store_->failed_over());
  ASSERT_OK(reopen());
  EXPECT_FALSE(store_->failed_over());
}

TEST_F(Points, AResyncKeepsItsGranule) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(store_->begin(pass_key(2, 0), 65536));
  ASSERT_OK(store_->write(0, 0, ByteView(disks_[0]).first(65536)));
  ASSERT_OK(store_->advance({0, 65536}));
  EXPECT_EQ(*store_->begin(pass_key(2, 0), 65536), (Cursor{0, 65536}));
  EXPECT_CODE(store_->begin(pass_key(3, 1), kTestGranule), ErrorCode::invalid_state);
  EXPECT_EQ(*store_->begin(pass_key(2, 0), kTestGranule), (Cursor{0, 0})) << "begun anew";
  ASSERT_OK(send(*store_, pass_key(2, 0), change_disks(random_, disks_)));
  EXPECT_EQ(*store_->begin(pass_key(3, 1), 65536), (Cursor{0, 0})) << "whole clusters of the overlay";
  EXPECT_CODE(store_->begin(delta_key(4, 0), kTestGranule), ErrorCode::invalid_state)
      << "the pass is not whole";
  ASSERT_OK(store_->begin(pass_key(3, 1), 65536));
  ASSERT_OK(store_->advance({2, 0}));
  EXPECT_CODE(store_->begin(pass_key(2, 0), 65536), ErrorCode::invalid_state) << "a message that comes late";
  ASSERT_OK(send(*store_, delta_key(4, 0), change_disks(random_, disks_)));
  ASSERT_OK(store_->finish(point_request(4, 0), {}));
  expect_point(files_, *store_, point_id(4), disks_);
}

TEST_F(Points, AResyncNeedsRoomInTheChain) {
  ASSERT_OK(publish(1, 0));
  for (uint64_t s = 2; s < limits::kMostChainDepth; ++s) ASSERT_OK(publish(s, s - 1));
  const uint64_t next = limits::kMostChainDepth;
  EXPECT_CODE(store_->begin(pass_key(next, 0), kTestGranule), ErrorCode::in_use);
  EXPECT_OK(store_->begin(delta_key(next, next - 1), kTestGranule));
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_OK(store_->begin(pass_key(next, 0), kTestGranule));
}

}  // namespace
}  // namespace understudy::store
