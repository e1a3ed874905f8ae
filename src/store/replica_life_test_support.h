// A primary for tests: two disks that change from cut to cut, what is to be sent of them, and a replica's
// whole life in steps that can be repeated after a crash.
#pragma once

#include "store/check.h"
#include "store/store_test_support.h"

namespace understudy::store {

inline const Uuid kVm = *Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab");
inline const Uuid kSet = *Uuid::parse("5e700000-0000-4000-8000-000000000001");
inline constexpr uint32_t kTestGranule = 4096;

inline ReplicaIdentity test_identity() {
  return {kVm, "vm1", kSet, 1, {{"vda", 40 * 4096 + 1536}, {"vdb", 12 * 4096}}};
}

inline Uuid point_id(uint64_t sequence) {
  return *Uuid::parse("90170000-0000-4000-8000-" + std::to_string(100'000'000'000 + sequence));
}

inline TransferKey delta_key(uint64_t sequence, uint64_t from) {
  return {{kSet, 1, sequence}, from, TransferKind::delta};
}
inline TransferKey pass_key(uint64_t sequence, uint64_t pass) {
  return {{kSet, 1, sequence}, pass, TransferKind::pass};
}

inline PointRequest point_request(uint64_t sequence, uint64_t from) {
  return {delta_key(sequence, from), point_id(sequence), PointType::standard, Wall{1000}, Wall{2000}};
}

// Of the VM: changes with every third point.
inline std::string definition_of(uint64_t sequence) {
  return "<domain><memory>" + std::to_string(sequence / 3) + "</memory></domain>\n";
}

using DiskSet = std::vector<Bytes>;

// Everything that is to be sent, in the order of Cursor.
struct Changes {
  std::vector<Extent> extents;
  DiskSet contents;  // of the whole disks at the cut
};

inline DiskSet empty_disks() {
  DiskSet disks;
  for (const DiskGeometry& disk : test_identity().disks) disks.emplace_back(disk.size);
  return disks;
}

// Changes some granules of every disk, and says which.
inline Changes change_disks(std::mt19937_64& random, DiskSet& disks, uint32_t granule = kTestGranule) {
  Changes changes;
  for (uint32_t d = 0; d < disks.size(); ++d) {
    for (uint64_t at = 0; at < disks[d].size(); at += granule) {
      if (random() % 3 != 0) continue;
      const uint64_t n = std::min<uint64_t>(granule, disks[d].size() - at);
      const bool zero = random() % 4 == 0;
      const Bytes data = zero ? Bytes(n) : random_bytes(random, n);
      std::copy(data.begin(), data.end(), disks[d].begin() + static_cast<ptrdiff_t>(at));
      changes.extents.push_back({d, at, n, zero});
    }
  }
  changes.contents = disks;
  return changes;
}

// All of every disk, as the first pass sends it.
inline Changes whole_disks(const DiskSet& disks, uint64_t step = 4 * kTestGranule) {
  Changes changes;
  for (uint32_t d = 0; d < disks.size(); ++d)
    for (uint64_t at = 0; at < disks[d].size(); at += step)
      changes.extents.push_back({d, at, std::min<uint64_t>(step, disks[d].size() - at), false});
  changes.contents = disks;
  return changes;
}

inline Status send(ReplicaStore& store, const TransferKey& key, const Changes& changes,
                   size_t advance_every = 5, uint32_t granule = kTestGranule) {
  US_TRY(const Cursor from, store.begin(key, granule));
  size_t sent = 0;
  for (const Extent& e : changes.extents) {
    if (Cursor{e.disk, e.offset} < from) continue;
    if (e.zero) {
      US_CHECK(store.zero(e.disk, e.offset, e.length));
    } else {
      US_CHECK(store.write(e.disk, e.offset, ByteView(changes.contents[e.disk]).subspan(e.offset, e.length)));
    }
    if (++sent % advance_every == 0) US_CHECK(store.advance({e.disk, e.offset + e.length}));
  }
  return store.advance({static_cast<uint32_t>(changes.contents.size()), 0});
}

// What the point holds, by its files and by a view of it, compared with what it should.
inline void expect_point(Files& files, ReplicaStore& store, const Uuid& point, const DiskSet& want) {
  const auto chains = store.chains(point);
  ASSERT_OK(chains);
  ASSERT_EQ(chains->size(), want.size());
  const auto view = store.view(point);
  ASSERT_OK(view);
  for (uint32_t d = 0; d < want.size(); ++d) {
    EXPECT_EQ(read_chain(files, (*chains)[d], want[d].size()) == want[d], true) << "disk " << d;
    EXPECT_EQ(read_view(**view, d) == want[d], true) << "disk " << d << " of the view";
  }
}

// Every byte of every listed point fits its checksum, and has one.
inline void expect_all_sums(Files& files, const std::string& directory) {
  const auto check = check_replica(
      files, directory, [](uint64_t, uint64_t) {}, CancelToken());
  ASSERT_OK(check);
  for (const CheckedPoint& point : check->points) {
    EXPECT_EQ(point.unverified, std::vector<std::string>());
    for (const Damage& damage : point.damages)
      ADD_FAILURE() << "point " << point.point.lineage.sequence << ": " << damage.file << " at "
                    << damage.offset << ", " << damage.length << " bytes: " << damage.what;
  }
}

}  // namespace understudy::store
