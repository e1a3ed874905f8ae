// Hundreds of random lives of a replica beside a naive one in memory: what it lists, and every byte of it, is
// the same after each step, whatever was kept, merged, reverted, resynchronized or cut off in between.
#include <gtest/gtest.h>

#include <map>

#include "store/replica_life_test_support.h"

namespace understudy::store {
namespace {

constexpr const char* kDirectory = "/s/2f6c9a10-0000-4000-8000-0123456789ab";

// Under a sanitizer a step takes many times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kLives = 25;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr uint64_t kLives = 25;
#else
constexpr uint64_t kLives = 250;
#endif
#else
constexpr uint64_t kLives = 250;
#endif
constexpr int kSteps = 40;

ReplicaIdentity identity() {
  return {kVm, "vm1", kSet, 1, {{"vda", 13 * 4096 + 1536}, {"vdb", 5 * 4096}}};
}

// The naive replica: every point is a copy of all disks.
struct Model {
  struct Point {
    uint64_t sequence;
    PointKeep keep;
    DiskSet disks;
  };
  std::vector<Point> points;

  void list(Point point, uint32_t hourly) {
    if (!points.empty() && points.back().keep == PointKeep::no) points.pop_back();
    points.push_back(std::move(point));
    limit(PointKeep::hourly, hourly);
    limit(PointKeep::on_demand, 4);
  }
  void limit(PointKeep keep, size_t most) {
    const auto is = [&](const Point& p) { return p.keep == keep; };
    while (static_cast<size_t>(std::count_if(points.begin(), points.end(), is)) > most) {
      const auto oldest = std::find_if(points.begin(), points.end(), is);
      if (oldest + 1 == points.end()) return;
      points.erase(oldest);
    }
  }
};

class Random {
 public:
  explicit Random(uint64_t seed) : random_(seed) {
    for (const DiskGeometry& disk : identity().disks) disks_.emplace_back(disk.size);
  }

  void live() {
    change_disks(random_, disks_);
    start();
    for (int i = 0; i < kSteps && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      const uint64_t killed_at = pick(3) ? 0 : 1 + pick(250);
      files_.die_at(killed_at);
      step();
      if (files_.dead()) {
        restart(pick(4) == 0);
      } else {
        files_.die_at(0);
        if (pick(10) == 0) restart(pick(2) == 0);
      }
      settle();
      compare();
    }
    end();
  }

 private:
  uint64_t pick(uint64_t n) { return random_() % n; }

  void step() {
    if (model_.points.empty()) return first_copy();
    switch (pick(12)) {
      case 0:
        return resync();
      case 1:
      case 2:
        (void)store_->merge(CancelToken());
        return;
      case 3:
        return cancelled_merge();
      case 4:
        return fail_over_and_back();
      case 5:
        (void)store_->set_settings(std::to_string(pick(100)));
        return;
      case 6:
        (void)store_->drop_set_aside(Wall{static_cast<int64_t>(pick(30))});
        return;
      case 7:
        return look();
      default:
        return cycle();
    }
  }

  // Publishes what was sent; a kill leaves it open whether it is listed.
  bool finish(uint64_t sequence, uint64_t from) {
    PointRequest request = point_request(sequence, from);
    request.keep = static_cast<PointKeep>(pick(3));
    request.definition = pick(2) ? definition_of(sequence) : "";
    const Retention retention{static_cast<uint32_t>(pick(4))};
    pending_ = {{sequence, request.keep, disks_}, retention.hourly};
    return store_->finish(request, retention).has_value();
  }

  void first_copy() {
    if (pick(2)) {
      if (!store_->drop_staging()) return;  // else it would close passes that were cut off
      if (send(*store_, delta_key(++sequence_, 0), whole_disks(disks_))) finish(sequence_, 0);
    } else {
      copy_in_passes(whole_disks(disks_, 3 * 512 + pick(9) * 512));
    }
  }
  void resync() {
    // The primary's own copy went on without anybody recording what changed: all of it is sent.
    Changes lost = change_disks(random_, disks_);
    copy_in_passes(pick(2) ? whole_disks(disks_) : std::move(lost));
  }
  void copy_in_passes(const Changes& first) {
    const uint32_t granule = kTestGranule;
    if (!send(*store_, pass_key(++sequence_, 0), first, 3, granule)) return;
    for (uint64_t pass = 1; pass <= pick(3); ++pass)
      if (!send(*store_, pass_key(++sequence_, pass), change_disks(random_, disks_), 3, granule)) return;
    if (send(*store_, delta_key(++sequence_, 0), change_disks(random_, disks_), 3, granule))
      finish(sequence_, 0);
  }
  void cycle() {
    const uint32_t granule = kTestGranule << (pick(5) == 0 ? pick(4) : 0);
    const uint64_t from = store_->newest().sequence;
    if (send(*store_, delta_key(++sequence_, from), change_disks(random_, disks_, granule), 1 + pick(9),
             granule))
      finish(sequence_, from);
  }
  void cancelled_merge() {
    CancelToken cancel;
    cancel.cancel();
    (void)store_->merge(cancel);
    files_.fail_at(1 + pick(60));
    (void)store_->merge(CancelToken());
    files_.fail_at(0);
  }
  void fail_over_and_back() {
    const auto points = store_->points();
    const Uuid point = points[pick(points.size())].id;
    if (!store_->fail_over(point, store_->generation_spent() + 1 + pick(2))) return;
    if (pick(2)) (void)store_->merge(CancelToken());
    (void)store_->revert(Wall{static_cast<int64_t>(pick(30))});
  }
  void look() {
    const auto& point = model_.points[pick(model_.points.size())];
    auto view = store_->view(point_id(point.sequence));
    if (view) views_.push_back({std::move(*view), point.disks});
  }

  void start() {
    const auto there = files_.exists(std::string(kDirectory) + "/manifest");
    auto store = *there ? ReplicaStore::open(files_, kDirectory)
                        : ReplicaStore::create(files_, kDirectory, identity());
    ASSERT_OK(store);
    store_ = std::move(*store);
  }
  void restart(bool process_only) {
    views_.clear();
    store_.reset();
    if (process_only)
      files_.restart_process();
    else
      files_.crash(random_());
    start();
  }
  // What a step that was cut off has made of it; the primary's next change continues what is held.
  void settle() {
    if (!store_) return;
    if (store_->failed_over()) {
      ASSERT_OK(store_->revert(Wall{static_cast<int64_t>(pick(30))}));
    }
    if (pending_ && store_->newest().sequence == pending_->first.sequence)
      model_.list(std::move(pending_->first), pending_->second);
    pending_.reset();
    // What was sent and not published is not in the replica: the next change covers it again.
    if (!model_.points.empty()) disks_ = model_.points.back().disks;
  }

  void compare() {
    ASSERT_NE(store_, nullptr);
    const auto points = store_->points();
    ASSERT_EQ(points.size(), model_.points.size());
    if (pick(5) == 0) expect_all_sums(files_, kDirectory);
    for (size_t i = 0; i < points.size(); ++i) {
      const Model::Point& want = model_.points[i];
      ASSERT_EQ(points[i].lineage.sequence, want.sequence);
      ASSERT_EQ(points[i].keep, want.keep);
      expect_point(files_, *store_, points[i].id, want.disks);
      ASSERT_OK(store_->machine(points[i].id));
    }
    for (const auto& [view, disks] : views_)
      for (uint32_t d = 0; d < disks.size(); ++d) ASSERT_EQ(read_view(*view, d) == disks[d], true);
    if (views_.size() > 3) views_.erase(views_.begin());
  }

  void end() {
    views_.clear();
    if (testing::Test::HasFailure() || model_.points.empty()) return;
    ASSERT_OK(store_->drop_set_aside(Wall{1000}));
    ASSERT_OK(store_->merge(CancelToken()));
    compare();
    const auto chains = store_->chains(store_->points().back().id);
    ASSERT_OK(chains);
    for (const auto& chain : *chains)
      for (const std::string& path : chain) ASSERT_EQ(check_qcow2(files_.content(path)), "") << path;
    ASSERT_OK(store_->destroy());
    ASSERT_FALSE(*files_.exists(kDirectory));
  }

  std::mt19937_64 random_;
  CrashFiles files_;
  std::unique_ptr<ReplicaStore> store_;
  Model model_;
  DiskSet disks_;
  uint64_t sequence_ = 0;
  std::optional<std::pair<Model::Point, uint32_t>> pending_;
  std::vector<std::pair<std::unique_ptr<PointView>, DiskSet>> views_;
};

TEST(ReplicaRandom, EveryListedPointIsWhatANaiveReplicaHolds) {
  for (uint64_t seed = 1; seed <= kLives; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random(seed).live();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace understudy::store
