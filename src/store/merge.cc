#include "store/merge.h"

#include "model/extent_math.h"

namespace understudy::store {
namespace {
constexpr uint64_t kStep = 1 << 20;       // of data, between two looks at `stop`
constexpr uint64_t kZeroStep = 64 << 20;  // of a zero range
constexpr uint64_t kHoleStep = 1ULL << 40;
constexpr uint64_t kSyncEvery = 16 << 20;  // bounds what a stop has to wait for

Result<uint64_t> copy(qcow2::Image& upper, qcow2::Image& lower, const qcow2::StopCheck& stop) {
  using Kind = qcow2::Mapping::Kind;
  Bytes buffer(kStep);
  uint64_t merged = 0;
  uint64_t unsynced = 0;
  for (uint64_t at = 0; at < upper.header().size;) {
    US_CHECK(stop());
    US_TRY(const qcow2::Mapping run, upper.map(at, kHoleStep));
    uint64_t length = run.length;
    if (run.kind == Kind::zero) {
      length = least(length, kZeroStep);
      US_CHECK(lower.zero(at, length));
    } else if (run.kind == Kind::data) {
      length = least(length, kStep);
      const MutableByteView piece = MutableByteView(buffer).first(length);
      US_CHECK(upper.read(at, piece));
      US_CHECK(lower.write(at, piece));
      merged += length;
      unsynced += length;
    }
    at += length;
    if (unsynced >= kSyncEvery) {
      US_CHECK(lower.flush());
      unsynced = 0;
    }
  }
  return merged;
}
}  // namespace

bool can_merge(bool lower_is_bottom, uint64_t lower_cluster, uint64_t upper_cluster) {
  return lower_is_bottom || upper_cluster % lower_cluster == 0;
}

Result<uint64_t> merge_into(Files& files, const std::string& lower_path, const std::string& upper_path,
                            const qcow2::StopCheck& stop) {
  US_TRY(const auto upper, qcow2::Image::open(files, upper_path, qcow2::Access::read));
  const qcow2::Header& above = upper->header();
  if (above.backing != lower_path.substr(lower_path.rfind('/') + 1))
    return fail(ErrorCode::corrupt, upper_path + " is not on " + lower_path, "qemu-img info " + upper_path);
  US_TRY(const auto lower, qcow2::Image::open(files, lower_path, qcow2::Access::modify, stop));
  const qcow2::Header& below = lower->header();
  if (below.size != above.size ||
      !can_merge(below.backing.empty(), below.cluster_size(), above.cluster_size()))
    return fail(ErrorCode::corrupt, lower_path + " cannot take in what " + upper_path + " has");
  auto merged = copy(*upper, *lower, stop);
  const bool stopped = !merged && merged.error().code() == ErrorCode::cancelled;
  if (merged || stopped) US_CHECK(lower->seal());
  return merged;
}

}  // namespace understudy::store
