#include "store/merge.h"

#include "model/extent_math.h"

namespace understudy::store {
namespace {
constexpr uint64_t kStep = 1 << 20;       // of data, between two looks at `stop`
constexpr uint64_t kZeroStep = 64 << 20;  // of a zero range
constexpr uint64_t kHoleStep = 1ULL << 40;
constexpr uint64_t kSyncEvery = 16 << 20;  // bounds what a stop has to wait for

Result<uint64_t> copy(qcow2::Image& upper, qcow2::Image& bottom, const qcow2::StopCheck& stop) {
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
      US_CHECK(bottom.zero(at, length));
    } else if (run.kind == Kind::data) {
      length = least(length, kStep);
      const MutableByteView piece = MutableByteView(buffer).first(length);
      US_CHECK(upper.read(at, piece));
      US_CHECK(bottom.write(at, piece));
      merged += length;
      unsynced += length;
    }
    at += length;
    if (unsynced >= kSyncEvery) {
      US_CHECK(bottom.flush());
      unsynced = 0;
    }
  }
  return merged;
}
}  // namespace

Result<uint64_t> merge_into_bottom(Files& files, const std::string& bottom_path,
                                   const std::string& upper_path, const qcow2::StopCheck& stop) {
  US_TRY(const auto upper, qcow2::Image::open(files, upper_path, qcow2::Access::read));
  US_TRY(const auto bottom, qcow2::Image::open(files, bottom_path, qcow2::Access::modify, stop));
  if (!bottom->header().backing.empty() || bottom->header().size != upper->header().size)
    return fail(ErrorCode::corrupt,
                bottom_path + " is not the bottom of a chain that " + upper_path + " is in");
  auto merged = copy(*upper, *bottom, stop);
  const bool stopped = !merged && merged.error().code() == ErrorCode::cancelled;
  if (merged || stopped) US_CHECK(bottom->seal());
  return merged;
}

}  // namespace understudy::store
