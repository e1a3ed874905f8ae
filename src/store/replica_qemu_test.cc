// A replica on the real file system, looked at by QEMU's own tools, with merges and a failover in other
// threads.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <map>

#include "base/thread.h"
#include "files/posix_files.h"
#include "store/replica_life_test_support.h"

namespace understudy::store {
namespace {

void expect_clean(const TempDirectory& dir, const ReplicaStore& store, uint64_t sequence, const DiskSet& want,
                  bool active) {
  const auto chains = store.chains(point_id(sequence));
  ASSERT_OK(chains);
  for (uint32_t d = 0; d < want.size(); ++d) {
    write_real_file(dir / "want.raw", want[d]);
    const std::string top = active ? store.active_path(d) : (*chains)[d][0];
    run("qemu-img compare -q -f qcow2 -F raw " + top + " " + dir / "want.raw");
    const std::string info = run("qemu-img info --backing-chain " + top);
    size_t at = 0;
    for (const std::string& path : (*chains)[d]) {
      run("qemu-img check -q " + path);
      at = info.find("image: " + path, at);
      EXPECT_NE(at, std::string::npos) << path << " in\n" << info;
    }
  }
}

TEST(ReplicaOnDisk, IsPlainFilesForQemu) {
  files::PosixFiles files("");
  TempDirectory dir;
  const std::string replica = dir / kVm.lower();
  auto made = ReplicaStore::create(files, replica, test_identity());
  ASSERT_OK(made);
  auto& store = **made;
  std::mt19937_64 random(1);
  DiskSet disks = empty_disks();
  change_disks(random, disks);
  ASSERT_OK(send(store, pass_key(1, 0), whole_disks(disks)));
  ASSERT_OK(send(store, pass_key(2, 1), change_disks(random, disks)));
  ASSERT_OK(send(store, delta_key(3, 0), change_disks(random, disks)));
  ASSERT_OK(store.finish(point_request(3, 0), {}));
  expect_clean(dir, store, 3, disks, false);
  for (uint64_t s = 4; s <= 7; ++s) {
    ASSERT_OK(send(store, delta_key(s, s - 1), change_disks(random, disks)));
    ASSERT_OK(store.finish(point_request(s, s - 1), {}));
    expect_clean(dir, store, s, disks, false);
    if (s % 2) {
      ASSERT_OK(store.merge(CancelToken()));
    }
    expect_clean(dir, store, s, disks, false);
  }
  EXPECT_FALSE(std::filesystem::exists(store.active_path(0)));
  ASSERT_OK(store.fail_over(point_id(7), 2));
  expect_clean(dir, store, 7, disks, true);
  run("qemu-io -c 'write 0 4096' " + store.active_path(0));
  run("qemu-img check -q " + store.active_path(0));
  struct stat info {};
  ASSERT_EQ(stat(replica.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0711u);
  ASSERT_EQ(stat(store.chains(point_id(7))->at(0)[0].c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  ASSERT_EQ(stat(store.active_path(0).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  ASSERT_OK(store.destroy());
  EXPECT_FALSE(std::filesystem::exists(replica));
}

TEST(ReplicaOnDisk, EveryPointIsPlainFilesForQemu) {
  files::PosixFiles files("");
  TempDirectory dir;
  auto made = ReplicaStore::create(files, dir / kVm.lower(), test_identity());
  ASSERT_OK(made);
  auto& store = **made;
  std::mt19937_64 random(4);
  DiskSet disks = empty_disks();
  std::map<uint64_t, DiskSet> held;
  const auto finish = [&](uint64_t s, uint64_t from, PointKeep keep) {
    PointRequest request = point_request(s, from);
    request.keep = keep;
    request.definition = definition_of(s);
    ASSERT_OK(store.finish(request, {3}));
    held[s] = disks;
  };
  const auto expect_all_clean = [&](const std::string& when) {
    SCOPED_TRACE(when);
    for (const RecoveryPoint& point : store.points()) {
      const auto chains = store.chains(point.id);
      ASSERT_OK(chains);
      for (uint32_t d = 0; d < disks.size(); ++d) {
        write_real_file(dir / "want.raw", held.at(point.lineage.sequence)[d]);
        run("qemu-img compare -q -f qcow2 -F raw " + (*chains)[d][0] + " " + dir / "want.raw");
        if (point.lineage.sequence == store.newest().sequence)
          for (const std::string& path : (*chains)[d]) run("qemu-img check -q " + path);
      }
    }
  };
  ASSERT_OK(send(store, delta_key(1, 0), whole_disks(disks)));
  finish(1, 0, PointKeep::on_demand);
  uint64_t s = 2;
  for (; s <= 12; ++s) {
    const uint32_t granule = s == 6 ? 16384 : kTestGranule;
    ASSERT_OK(send(store, delta_key(s, s - 1), change_disks(random, disks, granule), 5, granule));
    finish(s, s - 1, s % 2 == 0 ? PointKeep::hourly : PointKeep::no);
    if (s % 4 == 0) {
      ASSERT_OK(store.merge(CancelToken()));
      expect_all_clean("after a merge at " + std::to_string(s));
    }
  }
  ASSERT_OK(send(store, pass_key(s, 0), change_disks(random, disks)));
  ASSERT_OK(send(store, pass_key(s + 1, 1), change_disks(random, disks)));
  ASSERT_OK(send(store, delta_key(s + 2, 0), change_disks(random, disks)));
  finish(s + 2, 0, PointKeep::no);
  expect_all_clean("after a resync");
  ASSERT_OK(store.fail_over(store.points()[1].id, 2));
  run("qemu-io -c 'write -P 9 0 4096' " + store.active_path(0));
  ASSERT_OK(store.revert(Wall{1}));
  expect_all_clean("after a revert");
  ASSERT_OK(send(store, delta_key(s + 3, s + 2), change_disks(random, disks)));
  finish(s + 3, s + 2, PointKeep::no);
  ASSERT_OK(store.merge(CancelToken()));
  expect_all_clean("at the end");
  const auto aside = store.set_aside();
  ASSERT_EQ(aside.size(), 1u);
  for (const std::string& path : aside[0].files) run("qemu-img check -q " + path);
  run("qemu-io -c 'read -P 9 0 4096' " + aside[0].files[0]);
  EXPECT_EQ(store.points().size(), 5u);
}

TEST(ReplicaOnDisk, FailsOverOnABottomWhoseMergeWasKilled) {
  files::PosixFiles files("");
  TempDirectory dir;
  const std::string replica = dir / kVm.lower();
  std::mt19937_64 random(2);
  DiskSet disks = empty_disks();
  {
    auto store = ReplicaStore::create(files, replica, test_identity());
    ASSERT_OK(store);
    change_disks(random, disks);
    ASSERT_OK(send(**store, delta_key(1, 0), whole_disks(disks)));
    ASSERT_OK((*store)->finish(point_request(1, 0), {}));
    for (uint64_t s = 2; s <= 3; ++s) {
      ASSERT_OK(send(**store, delta_key(s, s - 1), change_disks(random, disks)));
      ASSERT_OK((*store)->finish(point_request(s, s - 1), {}));
    }
    // As a kill leaves it: marked, and with a part of what is above written.
    const auto bottom =
        qcow2::Image::open(files, (*store)->chains(point_id(3))->at(0).back(), qcow2::Access::modify);
    ASSERT_OK(bottom);
  }
  auto store = ReplicaStore::open(files, replica);
  ASSERT_OK(store);
  ASSERT_OK((*store)->fail_over(point_id(3), 2));
  for (uint32_t d = 0; d < disks.size(); ++d) {
    write_real_file(dir / "want.raw", disks[d]);
    run("qemu-img compare -q -f qcow2 -F raw " + (*store)->active_path(d) + " " + dir / "want.raw");
    run("qemu-io -c 'write 0 4096' " + (*store)->active_path(d));
  }
}

TEST(ReplicaOnDisk, MergesWhileItReceivesAndYieldsToAFailover) {
  files::PosixFiles files("");
  TempDirectory dir;
  auto made = ReplicaStore::create(files, dir / kVm.lower(), test_identity());
  ASSERT_OK(made);
  auto& store = **made;
  std::mt19937_64 random(3);
  DiskSet disks = empty_disks();
  ASSERT_OK(send(store, delta_key(1, 0), whole_disks(disks)));
  ASSERT_OK(store.finish(point_request(1, 0), {}));
  std::atomic<bool> done{false};
  std::atomic<int> unexpected{0};
  {
    Thread merger("merge", [&] {
      while (!done && !store.failed_over()) {
        const auto merged = store.merge(CancelToken());
        if (merged) continue;
        const ErrorCode code = merged.error().code();
        if (code != ErrorCode::cancelled && code != ErrorCode::in_use && code != ErrorCode::invalid_state)
          ++unexpected;
      }
    });
    Thread reader("read", [&] {
      while (!done && !store.failed_over()) {
        const auto view = store.view(Uuid());
        Bytes piece(4096);
        if (!view || !(*view)->read(0, 8192, piece)) ++unexpected;
      }
    });
    Status status;
    for (uint64_t s = 2; s <= 20 && status; ++s) {
      status = send(store, delta_key(s, s - 1), change_disks(random, disks));
      if (!status) break;
      PointRequest request = point_request(s, s - 1);
      request.keep = s % 3 == 0 ? PointKeep::hourly : PointKeep::no;
      if (const auto point = store.finish(request, {2}); !point) status = fail(point.error());
    }
    EXPECT_OK(status);
    EXPECT_OK(store.fail_over(point_id(20), 2));
    done = true;
  }
  EXPECT_EQ(unexpected, 0);
  expect_clean(dir, store, 20, disks, true);
}

}  // namespace
}  // namespace understudy::store
