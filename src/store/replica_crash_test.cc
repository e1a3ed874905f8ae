// A replica's whole life, killed at every single operation on its files.
#include <gtest/gtest.h>

#include "store/layout.h"
#include "store/replica_life_test_support.h"

namespace understudy::store {
namespace {

constexpr const char* kDirectory = "/s/2f6c9a10-0000-4000-8000-0123456789ab";

// Under a sanitizer a life takes thirty times as long: then only some of them are lived.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kEvery = 17;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr uint64_t kEvery = 17;
#else
constexpr uint64_t kEvery = 1;
#endif
#else
constexpr uint64_t kEvery = 1;
#endif

struct Step {
  TransferKey key;
  Changes changes;
  PointKeep keep = PointKeep::no;
  bool fails_over = false;  // after it, to the oldest point listed, and reverts
};

// Pass 0, pass 1, closing increment, four deltas, a failover and its revert, a resync with its closing
// increment, three more deltas; then a failover for good. Points 4, 6 and 10 are kept for a while.
std::vector<Step> script() {
  std::mt19937_64 random(42);
  DiskSet disks = empty_disks();
  change_disks(random, disks);
  std::vector<Step> all;
  all.push_back({pass_key(1, 0), whole_disks(disks)});
  all.push_back({pass_key(2, 1), change_disks(random, disks)});
  all.push_back({delta_key(3, 0), change_disks(random, disks)});
  for (uint64_t s = 4; s <= 7; ++s)
    all.push_back({delta_key(s, s - 1), change_disks(random, disks),
                   s % 2 == 0 ? PointKeep::hourly : PointKeep::no, s == 7});
  all.push_back({pass_key(8, 0), change_disks(random, disks)});
  all.push_back({delta_key(9, 0), change_disks(random, disks)});
  for (uint64_t s = 10; s <= 12; ++s)
    all.push_back(
        {delta_key(s, s - 1), change_disks(random, disks), s == 10 ? PointKeep::hourly : PointKeep::no});
  return all;
}

PointRequest request_of(const Step& step) {
  PointRequest request = point_request(step.key.lineage.sequence, step.key.from);
  request.keep = step.keep;
  request.definition = definition_of(step.key.lineage.sequence);
  return request;
}

class Life {
 public:
  explicit Life(const std::vector<Step>& script) : script_(script) {}
  CrashFiles& files() { return files_; }
  ReplicaStore* store() { return store_.get(); }

  // Goes on from where it stands until the end of the script or the first error.
  Status go_on() {
    if (!store_) US_CHECK(start());
    while (next_ < script_.size()) {
      const Step& t = script_[next_];
      const bool delta = t.key.kind == TransferKind::delta;
      if (!received_ && !(delta && store_->newest().sequence == t.key.lineage.sequence)) {
        US_CHECK(send(*store_, t.key, t.changes));
        if (delta) US_CHECK(store_->finish(request_of(t), {2}));
      }
      received_ = true;
      if (delta) acknowledged_ = next_;
      if (t.fails_over) US_CHECK(fail_over_and_back());
      ++next_;
      received_ = false;
      if (next_ % 2 == 0) US_CHECK(store_->merge(CancelToken()));
    }
    if (!store_->failed_over()) {
      US_CHECK(store_->set_settings("the end"));
      US_CHECK(store_->drop_set_aside(Wall{2}));
      US_CHECK(store_->merge(CancelToken()));
    }
    return store_->fail_over(point_id(store_->newest().sequence), 3);
  }

  // Once, however often it is tried.
  Status fail_over_and_back() {
    if (store_->generation_spent() < 2 || store_->failed_over())
      US_CHECK(store_->fail_over(store_->points().front().id, 2));
    US_CHECK(store_->revert(Wall{1}));
    US_CHECK(store_->revert(Wall{1}));
    for (const char* name : {"/vda-reverted-2.qcow2", "/vdb-reverted-2.qcow2"})
      EXPECT_NE(files_.content(kDirectory + std::string(name)), "");
    return {};
  }

  // The machine, or the process alone, went down and is up again.
  void restart_machine(uint64_t seed) {
    store_.reset();
    files_.crash(seed);
  }
  void restart_process() {
    store_.reset();
    files_.restart_process();
  }

  // Before the first look of a start at what was left.
  void check_dead() {
    const auto there = files_.exists(std::string(kDirectory) + "/manifest");
    if (there && *there) expect_all_sums(files_, kDirectory);
  }

  Status start() {
    US_TRY(const bool there, files_.exists(std::string(kDirectory) + "/manifest"));
    US_TRY(store_, there ? ReplicaStore::open(files_, kDirectory)
                         : ReplicaStore::create(files_, kDirectory, test_identity()));
    return {};
  }

  // What must hold at any time: no acknowledged point is lost, and what is listed is whole.
  void check() {
    const auto points = store_->points();
    const uint64_t newest = store_->newest().sequence;
    ASSERT_GE(newest, acknowledged_ ? script_[*acknowledged_].key.lineage.sequence : 0);
    ASSERT_EQ(points.empty(), newest == 0);
    for (const RecoveryPoint& point : points) {
      for (const Step& t : script_)
        if (t.key == delta_key(point.lineage.sequence, t.key.from)) {
          ASSERT_EQ(point.id, point_id(point.lineage.sequence));
          expect_point(files_, *store_, point.id, t.changes.contents);
          const auto machine = store_->machine(point.id);
          ASSERT_OK(machine);
          ASSERT_EQ(machine->definition, definition_of(point.lineage.sequence));
        }
    }
  }

  void check_end(bool sums = true) {
    check();
    if (sums) expect_all_sums(files_, kDirectory);
    EXPECT_EQ(store_->newest().sequence, script_.back().key.lineage.sequence);
    EXPECT_TRUE(store_->failed_over());
    std::vector<uint64_t> listed;
    for (const RecoveryPoint& point : store_->points()) listed.push_back(point.lineage.sequence);
    EXPECT_EQ(listed, (std::vector<uint64_t>{6, 10, 12}));
    const auto chains = store_->chains(point_id(store_->newest().sequence));
    ASSERT_OK(chains);
    for (uint32_t d = 0; d < chains->size(); ++d) {
      EXPECT_EQ((*chains)[d].size(), 4u) << "two that are kept, what follows them, and the newest";
      std::vector<std::string> active = (*chains)[d];
      active.insert(active.begin(), store_->active_path(d));
      for (const std::string& path : active) EXPECT_EQ(check_qcow2(files_.content(path)), "") << path;
      EXPECT_EQ(
          read_chain(files_, active, test_identity().disks[d].size) == script_.back().changes.contents[d],
          true);
    }
    const auto names = files_.list(kDirectory);
    ASSERT_OK(names);
    EXPECT_EQ(names->size(), 2u + 3u + 2u * (4u * 2u + 1u))
        << "manifest, incoming, three machines; of each disk four files with checksums and what is active: "
        << testing::PrintToString(*names);
    EXPECT_EQ(store_->settings(), "the end");
  }

 private:
  const std::vector<Step>& script_;
  CrashFiles files_;
  std::unique_ptr<ReplicaStore> store_;
  size_t next_ = 0;
  bool received_ = false;  // all of step next_, and finished
  std::optional<size_t> acknowledged_;
};

uint64_t operations_of(const std::vector<Step>& script) {
  Life life(script);
  life.files().die_at(0);
  EXPECT_OK(life.go_on());
  const uint64_t n = life.files().operations();
  life.check_end();
  return n;
}

TEST(ReplicaCrash, AtEveryOperationNothingListedIsLostAndLifeGoesOn) {
  const auto all = script();
  const uint64_t operations = operations_of(all);
  ASSERT_GT(operations, 500u);
  for (uint64_t n = 1; n <= operations; n += kEvery) {
    for (uint64_t seed : {n * 3 + n % 3, n * 3 + (n + 1) % 3}) {
      if (seed % 3 != n % 3 && n % 4 != 0) continue;  // each way of going down has its share
      SCOPED_TRACE("killed at operation " + std::to_string(n) + ", seed " + std::to_string(seed));
      Life life(all);
      life.files().die_at(n);
      ASSERT_FALSE(life.go_on());
      // Either the machine goes down, and the next start may die early too; or the process, and soon after
      // the machine.
      if (seed % 3 == 0)
        life.restart_process();
      else
        life.restart_machine(seed);
      if (seed % 3 != 1) {
        life.files().die_at(1 + n % 61);
        (void)life.go_on();
        life.restart_machine(seed + 7);
      }
      const bool sums = n % 4 == seed % 2;  // they take four times as long as all the rest
      if (sums) life.check_dead();
      EXPECT_OK(life.start());
      if (testing::Test::HasFailure()) return;
      life.check();
      EXPECT_OK(life.go_on());
      life.check_end(sums);
      if (testing::Test::HasFailure()) return;
    }
  }
}

// Else what goes on at the cursor has no checksums for what is before it.
TEST(ReplicaCrash, WhatACursorNamesIsThereWithItsChecksums) {
  std::vector<Step> first(script());
  first.resize(1);
  Life whole(first);
  whole.files().die_at(0);
  (void)whole.go_on();
  size_t resumed = 0;
  for (uint64_t seed = 128; seed / 128 <= whole.files().operations(); ++seed) {
    SCOPED_TRACE("killed at operation " + std::to_string(seed / 128) + ", seed " + std::to_string(seed));
    Life life(first);
    life.files().die_at(seed / 128);
    (void)life.go_on();
    life.restart_machine(seed);
    if (!life.start() || !life.store()->staging()) continue;
    ++resumed;
    for (const char* sums : {"vda-1-1.qcow2.sums", "vdb-1-1.qcow2.sums"})
      EXPECT_TRUE(*life.files().exists(std::string(kDirectory) + "/incoming/" + sums)) << sums;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(resumed, 20u);
}

TEST(ReplicaCrash, AFailedOperationIsOvercomeWithoutARestart) {
  const auto all = script();
  const uint64_t operations = operations_of(all);
  for (uint64_t n = 1; n <= operations; n += kEvery) {
    SCOPED_TRACE("operation " + std::to_string(n) + " fails");
    Life life(all);
    life.files().fail_at(n);
    Status done = life.go_on();
    if (!done && life.store()) life.check();
    for (int again = 0; again < 3 && !done; ++again) done = life.go_on();
    EXPECT_OK(done);
    if (testing::Test::HasFailure()) return;
    life.restart_process();  // removes what could not be removed
    EXPECT_OK(life.start());
    life.check_end(n % 4 == 0);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace understudy::store
