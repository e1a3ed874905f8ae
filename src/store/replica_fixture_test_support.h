// A replica on CrashFiles, one call a cycle.
#pragma once

#include <map>

#include "store/replica_life_test_support.h"
#include "store/sums.h"

namespace understudy::store {

inline constexpr const char* kDirectory = "/s/2f6c9a10-0000-4000-8000-0123456789ab";

class ReplicaTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = ReplicaStore::create(files_, kDirectory, test_identity());
    ASSERT_OK(made);
    store_ = std::move(*made);
  }
  std::string in(const std::string& name) const { return std::string(kDirectory) + "/" + name; }
  Status publish(uint64_t sequence, uint64_t from, PointKeep keep = PointKeep::no,
                 const Retention& retention = {}) {
    Changes changes = change_disks(random_, disks_);
    if (from == 0) changes = whole_disks(disks_);
    US_CHECK(send(*store_, delta_key(sequence, from), changes));
    PointRequest request = point_request(sequence, from);
    request.keep = keep;
    US_TRY(const RecoveryPoint point, store_->finish(request, retention));
    EXPECT_EQ(point.lineage.sequence, sequence);
    held_[sequence] = disks_;
    return {};
  }
  std::vector<uint64_t> listed() const {
    std::vector<uint64_t> sequences;
    for (const RecoveryPoint& point : store_->points()) sequences.push_back(point.lineage.sequence);
    return sequences;
  }
  // Every listed point that publish() made holds what it should.
  void expect_all() {
    for (const uint64_t sequence : listed()) {
      SCOPED_TRACE("point " + std::to_string(sequence));
      expect_point(files_, *store_, point_id(sequence), held_.at(sequence));
    }
  }
  Status reopen() {
    store_.reset();
    files_.crash(0);
    US_TRY(store_, ReplicaStore::open(files_, kDirectory));
    return {};
  }
  // The manifest with one text replaced and sealed again.
  void tamper(const std::string& from, const std::string& to) {
    std::string text = files_.content(in("manifest"));
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, from.size(), to);
    files_.put(in("manifest"), reseal(text));
  }
  // The checksum is no secret: whoever can write the file can seal it.
  static std::string reseal(const std::string& text) {
    const std::string body = text.substr(0, text.rfind("xxh3-128 "));
    const Sum seal = Sum::of(as_bytes(body));
    char line[64];
    std::snprintf(line, sizeof line, "xxh3-128 %016llx%016llx\n", static_cast<unsigned long long>(seal.high),
                  static_cast<unsigned long long>(seal.low));
    return body + line;
  }

  CrashFiles files_;
  std::unique_ptr<ReplicaStore> store_;
  std::mt19937_64 random_{7};
  DiskSet disks_ = empty_disks();
  std::map<uint64_t, DiskSet> held_;
};

}  // namespace understudy::store
