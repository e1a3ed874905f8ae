#include <gtest/gtest.h>

#include "base/limits.h"
#include "store/layout.h"
#include "store/records.h"
#include "store/replica_fixture_test_support.h"

namespace understudy::store {
namespace {

TEST_F(ReplicaTest, ANewReplicaHoldsNothing) {
  EXPECT_EQ(store_->identity().vm, kVm);
  EXPECT_EQ(store_->newest(), (Lineage{kSet, 1, 0}));
  EXPECT_TRUE(store_->points().empty());
  EXPECT_FALSE(store_->staging());
  EXPECT_FALSE(store_->merge_due());
  EXPECT_EQ(store_->active_path(1), in("vdb-active.qcow2"));
  EXPECT_CODE(ReplicaStore::create(files_, kDirectory, test_identity()), ErrorCode::invalid_state);
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->identity().disks, test_identity().disks);
}

TEST_F(ReplicaTest, AFullExportStandsAloneAndDeltasFollow) {
  ASSERT_OK(publish(3, 0));
  ASSERT_OK(publish(4, 3));
  ASSERT_OK(publish(9, 4));  // a cut may have failed in between
  const auto points = store_->points();
  ASSERT_EQ(points.size(), 1u) << "nothing asked for the others to be kept";
  EXPECT_EQ(points[0].id, point_id(9));
  EXPECT_GT(points[0].bytes, 0u);
  const auto chains = store_->chains(point_id(9));
  ASSERT_OK(chains);
  EXPECT_EQ((*chains)[0],
            (std::vector<std::string>{in("vda-1-9.qcow2"), in("vda-1-4.qcow2"), in("vda-1-3.qcow2")}));
  expect_point(files_, *store_, point_id(9), disks_);
  EXPECT_CODE(store_->chains(point_id(4)), ErrorCode::not_found);
  EXPECT_TRUE(store_->merge_due());
  const auto merged = store_->merge(CancelToken());
  ASSERT_OK(merged);
  EXPECT_GT(*merged, 0u);
  EXPECT_FALSE(store_->merge_due());
  EXPECT_EQ(store_->chains(point_id(9))->at(1),
            (std::vector<std::string>{in("vdb-1-9.qcow2"), in("vdb-1-4.qcow2")}));
  expect_point(files_, *store_, point_id(9), disks_);
  ASSERT_OK(reopen());
  expect_point(files_, *store_, point_id(9), disks_);
}

TEST_F(ReplicaTest, FinishMayBeRepeated) {
  ASSERT_OK(publish(1, 0));
  const auto again = store_->finish(point_request(1, 0), {});
  ASSERT_OK(again);
  EXPECT_EQ(*again, store_->points()[0]);
  ASSERT_OK(reopen());
  EXPECT_OK(store_->finish(point_request(1, 0), {}));
  EXPECT_CODE(store_->finish(point_request(2, 1), {}), ErrorCode::invalid_state);
}

TEST_F(ReplicaTest, RefusesWhatDoesNotContinue) {
  ASSERT_OK(publish(5, 0));
  const auto refused = [&](TransferKey key) { return store_->begin(key, kTestGranule); };
  EXPECT_CODE(refused(delta_key(5, 0)), ErrorCode::invalid_state);
  EXPECT_CODE(refused(delta_key(6, 4)), ErrorCode::invalid_state);
  EXPECT_CODE(refused(delta_key(4, 3)), ErrorCode::invalid_state);
  EXPECT_CODE(refused(delta_key(6, 0)), ErrorCode::invalid_state) << "points, and no first copy to close";
  EXPECT_CODE(refused(pass_key(6, 1)), ErrorCode::invalid_state) << "no pass 0";
  EXPECT_CODE(refused(pass_key(5, 0)), ErrorCode::invalid_state) << "sequence used";
  TransferKey other = delta_key(6, 5);
  other.lineage.set = kVm;
  EXPECT_CODE(refused(other), ErrorCode::invalid_state);
  other = delta_key(6, 5);
  other.lineage.generation = 2;
  const auto result = refused(other);
  EXPECT_CODE(result, ErrorCode::invalid_state);
  EXPECT_NE(result.error().message().find("generation 2, the replica in 1"), std::string::npos);
  for (const uint32_t granule : {0u, 512u, 5000u, 131072u})
    EXPECT_CODE(store_->begin(delta_key(6, 5), granule), ErrorCode::invalid_parameter);
  EXPECT_FALSE(store_->staging());
  EXPECT_OK(refused(delta_key(6, 5)));
}

TEST_F(ReplicaTest, PassesFollowOnEachOtherOrBeginAnew) {
  change_disks(random_, disks_);
  ASSERT_OK(send(*store_, pass_key(1, 0), whole_disks(disks_)));
  EXPECT_EQ(store_->staging()->cursor, (Cursor{2, 0}));
  EXPECT_CODE(store_->begin(pass_key(2, 2), kTestGranule), ErrorCode::invalid_state) << "pass 1 is missing";
  EXPECT_CODE(store_->finish({pass_key(1, 0), point_id(1), PointType::standard, {}, {}}, {}),
              ErrorCode::invalid_state);
  EXPECT_EQ(*store_->begin(pass_key(1, 1), kTestGranule), (Cursor{0, 0}));
  EXPECT_EQ(store_->staging()->key, pass_key(1, 1));
  EXPECT_EQ(*store_->begin(pass_key(3, 1), kTestGranule), (Cursor{0, 0})) << "the same pass at a later cut";
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->staging()->key, pass_key(1, 0)) << "what was durable";
  EXPECT_CODE(store_->begin(delta_key(1, 0), kTestGranule), ErrorCode::invalid_state)
      << "closes at its own sequence";
  ASSERT_OK(send(*store_, delta_key(4, 0), change_disks(random_, disks_)));
  ASSERT_OK(send(*store_, delta_key(5, 0), change_disks(random_, disks_))) << "closed again, at a later cut";
  ASSERT_EQ(*store_->begin(pass_key(6, 0), kTestGranule), (Cursor{0, 0}));
  ASSERT_OK(send(*store_, pass_key(6, 0), whole_disks(disks_)));
  ASSERT_OK(send(*store_, delta_key(7, 0), change_disks(random_, disks_)));
  ASSERT_OK(store_->finish(point_request(7, 0), {}));
  EXPECT_EQ(store_->chains(point_id(7))->at(0),
            (std::vector<std::string>{in("vda-1-7.qcow2"), in("vda-1-6.qcow2")}));
  expect_point(files_, *store_, point_id(7), disks_);
}

TEST_F(ReplicaTest, ATransferGoesOnAtItsDurableCursor) {
  ASSERT_OK(publish(1, 0));
  const TransferKey key = delta_key(2, 1);
  ASSERT_OK(store_->begin(key, kTestGranule));
  ASSERT_OK(store_->write(0, 0, Bytes(8192, std::byte{1})));
  ASSERT_OK(store_->advance({0, 8192}));
  ASSERT_OK(store_->write(0, 8192, Bytes(4096, std::byte{2})));  // never durable
  EXPECT_EQ(*store_->begin(key, kTestGranule), (Cursor{0, 8192})) << "the link was cut";
  EXPECT_EQ(store_->staging(), (Staging{key, {0, 8192}}));
  ASSERT_OK(reopen());
  EXPECT_EQ(store_->staging(), (Staging{key, {0, 8192}}));
  EXPECT_CODE(store_->write(0, 8192, Bytes(4096)), ErrorCode::invalid_state) << "not begun since the start";
  EXPECT_CODE(store_->finish(point_request(2, 1), {}), ErrorCode::invalid_state)
      << "who knows whether all is here";
  EXPECT_EQ(*store_->begin(key, kTestGranule), (Cursor{0, 8192}));
  EXPECT_EQ(*store_->begin(key, 65536), (Cursor{0, 0})) << "another granule is another file";
  ASSERT_OK(store_->drop_staging());
  EXPECT_FALSE(store_->staging());
  ASSERT_OK(reopen());
  EXPECT_FALSE(store_->staging());
  EXPECT_EQ(files_.list(in("incoming"))->size(), 0u);
}

// The key of a transfer is used again for new images while an old cursor may still speak of it: killed at any
// moment of the first advance of the new images, nothing may be taken for received that was not.
TEST_F(ReplicaTest, AnOldCursorNeverSpeaksForNewImages) {
  for (Bytes& disk : disks_) disk = random_bytes(random_, disk.size());
  const Changes whole = whole_disks(disks_, kTestGranule);
  const TransferKey key = delta_key(1, 0);
  const auto start = [&] {
    auto again = ReplicaStore::open(files_, kDirectory);
    ASSERT_OK(again);
    store_ = std::move(*again);
  };
  const auto receive = [&](uint64_t length) {
    return store_->write(0, 0, ByteView(disks_[0]).first(length));
  };
  constexpr uint64_t kDropped = 0;  // instead of an advance that fails
  for (uint64_t fails_at = kDropped; fails_at < 40; ++fails_at) {
    for (uint64_t dies_at = 1; dies_at < 60; ++dies_at) {
      SCOPED_TRACE(std::to_string(fails_at) + " then " + std::to_string(dies_at));
      ASSERT_OK(store_->begin(key, kTestGranule));
      ASSERT_OK(receive(8192));
      files_.fail_at(fails_at);
      const bool advanced = store_->advance({0, 8192}).has_value();
      files_.fail_at(0);
      if (fails_at == kDropped) {
        ASSERT_OK(store_->drop_staging());
      } else if (advanced) {
        return;  // it takes no more operations than that
      }
      const auto from = store_->begin(key, kTestGranule);
      ASSERT_OK(from);
      if (from->offset == 0) {
        ASSERT_OK(receive(4096));
      }
      files_.die_at(dies_at);
      const bool survived = from->offset != 0 || store_->advance({0, 4096});
      store_.reset();
      files_.restart_process();
      start();
      ASSERT_OK(send(*store_, key, whole));
      ASSERT_OK(store_->finish(point_request(1, 0), {}));
      expect_point(files_, *store_, point_id(1), disks_);
      ASSERT_OK(store_->destroy());
      ASSERT_OK(ReplicaStore::create(files_, kDirectory, test_identity()));
      start();
      if (survived) break;
    }
  }
  FAIL() << "an advance takes fewer operations";
}

TEST_F(ReplicaTest, FilesOfOneChainMayHaveDifferentClusters) {
  ASSERT_OK(publish(1, 0));
  for (uint64_t s = 2; s <= 3; ++s) {
    ASSERT_OK(store_->begin(delta_key(s, s - 1), 65536));
    for (uint32_t d = 0; d < 2; ++d) {
      const uint64_t at = d == 0 ? 131072 : 0;  // the odd end of one, all of the other
      const Bytes data = random_bytes(random_, disks_[d].size() - at);
      std::copy(data.begin(), data.end(), disks_[d].begin() + static_cast<ptrdiff_t>(at));
      ASSERT_OK(store_->write(d, at, data));
    }
    ASSERT_OK(store_->finish(point_request(s, s - 1), {}));
  }
  ASSERT_OK(store_->merge(CancelToken()));
  ASSERT_OK(reopen());
  expect_point(files_, *store_, point_id(3), disks_);
  ASSERT_OK(publish(4, 3));
  ASSERT_OK(store_->merge(CancelToken()));
  ASSERT_OK(reopen());
  expect_point(files_, *store_, point_id(4), disks_);
}

TEST_F(ReplicaTest, WhatARestartedProcessReportsSurvivesTheMachine) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(send(*store_, delta_key(2, 1), change_disks(random_, disks_)));
  for (uint64_t n = 1; store_->newest().sequence == 1; ++n) {
    SCOPED_TRACE("the process dies at operation " + std::to_string(n));
    files_.die_at(n);
    (void)store_->finish(point_request(2, 1), {});
    store_.reset();
    files_.restart_process();
    auto again = ReplicaStore::open(files_, kDirectory);
    ASSERT_OK(again);
    const uint64_t reported = (*again)->newest().sequence;
    again->reset();
    files_.crash(CrashFiles::seed_that_loses_all());
    again = ReplicaStore::open(files_, kDirectory);
    ASSERT_OK(again);
    store_ = std::move(*again);
    ASSERT_EQ(store_->newest().sequence, reported);
    if (reported == 1) {
      ASSERT_OK(store_->begin(delta_key(2, 1), kTestGranule));
    }
  }
  expect_point(files_, *store_, point_id(2), disks_);
}

TEST_F(ReplicaTest, RefusesRangesOutOfPlace) {
  ASSERT_OK(publish(1, 0));
  EXPECT_CODE(store_->write(0, 0, Bytes(4096)), ErrorCode::invalid_state);
  ASSERT_OK(store_->begin(delta_key(2, 1), kTestGranule));
  EXPECT_CODE(store_->write(2, 0, Bytes(4096)), ErrorCode::protocol);
  EXPECT_CODE(store_->write(0, 41 * 4096, Bytes(4096)), ErrorCode::protocol);
  EXPECT_CODE(store_->write(0, 40 * 4096, Bytes(2048)), ErrorCode::protocol) << "behind the odd end";
  EXPECT_CODE(store_->zero(0, 0, ~uint64_t{0} - 100), ErrorCode::protocol);
  EXPECT_CODE(store_->write(0, 512, Bytes(4096)), ErrorCode::protocol);
  EXPECT_CODE(store_->write(0, 0, Bytes(512)), ErrorCode::protocol);
  ASSERT_OK(store_->write(0, 8192, Bytes(4096)));
  EXPECT_CODE(store_->write(0, 8192, Bytes(4096)), ErrorCode::protocol) << "out of order";
  EXPECT_CODE(store_->advance({3, 0}), ErrorCode::protocol);
  ASSERT_OK(store_->advance({1, 0}));
  EXPECT_CODE(store_->advance({0, 0}), ErrorCode::protocol);
  EXPECT_CODE(store_->write(0, 40 * 4096, Bytes(1536)), ErrorCode::protocol) << "before the cursor";
}

TEST_F(ReplicaTest, AFailoverMakesOverlaysAndEndsReplication) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(publish(2, 1));
  ASSERT_OK(store_->begin(delta_key(3, 2), kTestGranule));
  EXPECT_CODE(store_->fail_over(point_id(1), 2), ErrorCode::not_found);
  EXPECT_CODE(store_->fail_over(point_id(2), 1), ErrorCode::invalid_parameter);
  EXPECT_EQ(store_->generation(), 1u);
  EXPECT_EQ(files_.content(store_->active_path(0)), "");
  ASSERT_OK(store_->fail_over(point_id(2), 2));
  ASSERT_OK(store_->fail_over(point_id(2), 2)) << "repeated";
  EXPECT_CODE(store_->fail_over(point_id(2), 3), ErrorCode::invalid_state);
  EXPECT_TRUE(store_->failed_over());
  EXPECT_EQ(store_->generation(), 2u);
  EXPECT_FALSE(store_->staging());
  EXPECT_CODE(store_->write(0, 0, Bytes(4096)), ErrorCode::invalid_state);
  EXPECT_CODE(store_->begin(delta_key(3, 2), kTestGranule), ErrorCode::invalid_state);
  EXPECT_CODE(store_->merge(CancelToken()), ErrorCode::invalid_state);
  EXPECT_FALSE(store_->merge_due());
  for (uint32_t d = 0; d < 2; ++d) {
    auto chain = store_->chains(point_id(2))->at(d);
    chain.insert(chain.begin(), store_->active_path(d));
    EXPECT_EQ(read_chain(files_, chain, disks_[d].size()) == disks_[d], true);
  }
  ASSERT_OK(reopen());
  EXPECT_TRUE(store_->failed_over());
  ASSERT_OK(files_.remove(store_->active_path(0)));
  EXPECT_CODE(store_->fail_over(point_id(2), 3), ErrorCode::invalid_state);
  ASSERT_OK(files_.sync_directory(kDirectory));
  EXPECT_CODE(reopen(), ErrorCode::corrupt) << "a lost overlay is not made again: it had the guest's writes";
}

TEST_F(ReplicaTest, MergesOnlyBelowTheOldestListedPoint) {
  ASSERT_OK(publish(1, 0));
  EXPECT_FALSE(store_->merge_due());
  ASSERT_OK(publish(2, 1));
  EXPECT_FALSE(store_->merge_due()) << "one bottom and the newest";
  EXPECT_EQ(*store_->merge(CancelToken()), 0u);
  ASSERT_OK(publish(3, 2));
  EXPECT_TRUE(store_->merge_due());
  CancelToken cancelled;
  cancelled.cancel();
  EXPECT_CODE(store_->merge(cancelled), ErrorCode::cancelled);
  EXPECT_TRUE(store_->merge_due());
  EXPECT_EQ(check_qcow2(files_.content(in("vda-1-1.qcow2"))), "");
  expect_point(files_, *store_, point_id(3), disks_);
}

TEST_F(ReplicaTest, RefusesToGrowAChainWithoutBound) {
  ASSERT_OK(publish(1, 0));
  uint64_t s = 1;
  while (s < limits::kMostChainDepth) {
    ++s;
    ASSERT_OK(publish(s, s - 1));
  }
  EXPECT_CODE(store_->begin(delta_key(s + 1, s), kTestGranule), ErrorCode::in_use);
  ASSERT_OK(store_->merge(CancelToken()));
  EXPECT_OK(store_->begin(delta_key(s + 1, s), kTestGranule));
  expect_point(files_, *store_, point_id(s), disks_);
}

TEST_F(ReplicaTest, DestroyRemovesOurFilesAndNobodyElses) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(store_->begin(delta_key(2, 1), kTestGranule));
  files_.put(in("notes.txt"), "mine");
  ASSERT_OK(store_->destroy());
  ASSERT_OK(store_->destroy());
  EXPECT_EQ(*files_.list(kDirectory), std::vector<std::string>{"notes.txt"});
  EXPECT_CODE(store_->begin(delta_key(2, 1), kTestGranule), ErrorCode::not_found);
  EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::not_found);
  EXPECT_CODE(ReplicaStore::create(files_, kDirectory, test_identity()), ErrorCode::invalid_state);
  ASSERT_OK(files_.remove(in("notes.txt")));
  EXPECT_OK(ReplicaStore::create(files_, kDirectory, test_identity()));
}

TEST_F(ReplicaTest, DestroyGoesOnAfterACrash) {
  ASSERT_OK(publish(1, 0));
  files_.die_at(4);
  EXPECT_FALSE(store_->destroy());
  store_.reset();
  files_.crash(1);
  for (int again = 0; again < 2; ++again)
    EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::not_found);
  EXPECT_FALSE(*files_.exists(kDirectory));
}

TEST_F(ReplicaTest, FilesOfOthersAreLeftAlone) {
  ASSERT_OK(publish(1, 0));
  files_.put(in("vda-backup.qcow2"), "mine");
  files_.put(in("vda-1-99.qcow2"), "left by a crash");
  files_.put(in("vda-1-98.qcow2.sums"), "left by a crash");
  files_.put(in("incoming/vda-1-77.qcow2"), "left by a crash");
  ASSERT_OK(reopen());
  EXPECT_EQ(*files_.list(kDirectory),
            (std::vector<std::string>{"incoming", "manifest", "vda-1-1.qcow2", "vda-1-1.qcow2.sums",
                                      "vda-backup.qcow2", "vdb-1-1.qcow2", "vdb-1-1.qcow2.sums"}));
  EXPECT_EQ(files_.list(in("incoming"))->size(), 0u);
}

// --- hostile and damaged content ---

TEST_F(ReplicaTest, RefusesManifestsThatLie) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(publish(2, 1));
  const std::string good = files_.content(in("manifest"));
  const std::pair<const char*, const char*> lies[] = {
      {"\"vda\"", "\"../../etc/shadow\""},
      {"\"vda\"", "\"..\""},
      {"\"vda\"", "\"vda/\""},
      {"\"vda\"", "\"vdb\""},
      {"\"vda\"", "\"\""},
      {"\"size\": 165376", "\"size\": 165377"},
      {"\"size\": 165376", "\"size\": 0"},
      {"\"size\": 165376", "\"size\": -512"},
      {"\"size\": 165376", "\"size\": 165888"},
      {"\"size\": 165376", "\"size\": \"165376\""},
      {"\"sequence\": 1", "\"sequence\": 3"},
      {"\"sequence\": 1", "\"sequence\": 0"},
      {"\"sequence\": 1", "\"sequence\": 18446744073709551616"},
      {"\"sequence\": 1", "\"sequence\": \"../x\""},
      {"\"cluster_size\": 4096", "\"cluster_size\": 65536"},
      {"\"cluster_size\": 4096", "\"cluster_size\": 4097"},
      {"\"generation\": 1", "\"generation\": 0"},
      {"\"disks\"", "\"discs\""},
      {"\"type\": 1", "\"type\": 99"},
      {"\"failover\": null", "\"failover\": 1"},
      {"\"failover\": null",
       "\"failover\": {\"generation\": 1, \"point\": \"90170000-0000-4000-8000-100000000002\", \"complete\": "
       "false}"},
      {"understudy-replica", "understudy-cursor"},
      {"{", "[{"},
  };
  for (const auto& [from, to] : lies) {
    SCOPED_TRACE(std::string(from) + " -> " + to);
    files_.put(in("manifest"), good);
    tamper(from, to);
    EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::corrupt);
  }
  files_.put(in("manifest"), good);
  tamper("\"version\": 1", "\"version\": 2");
  EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::not_supported);
  for (size_t n = 0; n < good.size(); n += 7) {
    files_.put(in("manifest"), good.substr(0, n));
    EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::corrupt);
  }
  files_.put(in("manifest"), std::string(limits::kMostManifest + 1, ' '));
  EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::corrupt);
  files_.put(in("manifest"), good);
  EXPECT_OK(ReplicaStore::open(files_, kDirectory));
}

TEST_F(ReplicaTest, RefusesImagesThatAreNotWhatTheChainSays) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(publish(2, 1));
  const std::string path = in("vda-1-2.qcow2");
  const std::string good = files_.content(path);
  const auto replaced = [&](size_t at, const std::string& with) {
    std::string bad = good;
    bad.replace(at, with.size(), with);
    files_.put(path, bad);
    return ReplicaStore::open(files_, kDirectory);
  };
  const size_t backing = good.find("vda-1-1.qcow2");
  ASSERT_NE(backing, std::string::npos);
  EXPECT_CODE(replaced(backing, "../1-1.qcow2x"), ErrorCode::corrupt);
  EXPECT_CODE(replaced(backing, "/etc/shadows."), ErrorCode::corrupt);
  EXPECT_CODE(replaced(backing, "vdb-1-1.qcow2"), ErrorCode::corrupt);
  EXPECT_CODE(replaced(good.find("qcow2"), "qcow3"), ErrorCode::corrupt) << "backing format";
  EXPECT_CODE(replaced(72 + 7, "\4"), ErrorCode::corrupt) << "data file";
  EXPECT_CODE(replaced(0, "X"), ErrorCode::corrupt);
  files_.put(path, good.substr(0, 50));
  EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::corrupt);
  ASSERT_OK(files_.remove(path));
  EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::corrupt);
  files_.put(path, good);
  EXPECT_OK(ReplicaStore::open(files_, kDirectory));
  // The bottom has no merge that could explain its absence.
  ASSERT_OK(files_.remove(in("vda-1-1.qcow2")));
  EXPECT_CODE(ReplicaStore::open(files_, kDirectory), ErrorCode::corrupt);
}

TEST_F(ReplicaTest, AnUnexplainedActiveOverlayIsNotTouched) {
  ASSERT_OK(publish(1, 0));
  files_.put(in("vda-active.qcow2"), "a guest's writes");
  EXPECT_CODE(reopen(), ErrorCode::corrupt);
  EXPECT_EQ(files_.content(in("vda-active.qcow2")), "a guest's writes");
}

TEST_F(ReplicaTest, ADamagedCursorOnlyCostsTheStaging) {
  ASSERT_OK(publish(1, 0));
  ASSERT_OK(send(*store_, delta_key(2, 1), change_disks(random_, disks_)));
  const std::string good = files_.content(in("incoming/cursor"));
  files_.put(in("incoming/cursor"), good.substr(1));
  ASSERT_OK(reopen());
  EXPECT_FALSE(store_->staging());
  EXPECT_EQ(store_->newest().sequence, 1u);
  EXPECT_EQ(files_.list(in("incoming"))->size(), 0u);
}

}  // namespace
}  // namespace understudy::store
