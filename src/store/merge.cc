#include "store/merge.h"

#include "base/log.h"
#include "model/extent_math.h"
#include "store/sums.h"

namespace understudy::store {
namespace {
constexpr uint64_t kStep = 1 << 20;       // of data, between two looks at `stop`
constexpr uint64_t kZeroStep = 64 << 20;  // of a zero range
constexpr uint64_t kHoleStep = 64ULL << 30;
constexpr uint64_t kSyncEvery = 16 << 20;  // bounds what a stop has to wait for

// One copying of `upper` into `lower`. What does not fit its checksum is copied as it is, and stays marked: a
// merge must not turn damage into something that looks whole.
class Copy {
 public:
  Copy(qcow2::Image& upper, Sums* sums, SummedImage& lower, const qcow2::StopCheck& stop)
      : upper_(upper), sums_(sums), lower_(lower), stop_(stop) {}

  Result<uint64_t> run() {
    uint64_t unsynced = 0;
    for (uint64_t at = 0; at < upper_.header().size;) {
      US_CHECK(stop_());
      US_TRY(qcow2::Mapping piece, upper_.map(at, kHoleStep));
      const uint64_t before = merged_;
      US_CHECK(take(at, piece));
      at += piece.length;
      unsynced += merged_ - before;
      if (unsynced >= kSyncEvery) {
        US_CHECK(lower_.flush());
        unsynced = 0;
      }
    }
    return merged_;
  }
  uint64_t damaged() const { return damaged_; }

 private:
  using Kind = qcow2::Mapping::Kind;

  // Of the piece, as much as a step may take.
  Status take(uint64_t at, qcow2::Mapping& piece) {
    if (piece.kind == Kind::zero) {
      piece.length = least(piece.length, kZeroStep);
      US_CHECK(lower_.zero(at, piece.length));
    } else if (piece.kind == Kind::data) {
      piece.length = least(piece.length, kStep);
      buffer_.resize(kStep);
      US_CHECK(upper_.read(at, MutableByteView(buffer_).first(piece.length)));
      US_CHECK(lower_.write(at, ByteView(buffer_).first(piece.length)));
      merged_ += piece.length;
    }
    if (!sums_) return {};
    return sums_->compare(at, piece, buffer_, [&](uint64_t offset, uint64_t length) -> Status {
      damaged_ += length;
      return lower_.mark_damaged(offset, length);
    });
  }

  qcow2::Image& upper_;
  Sums* const sums_;
  SummedImage& lower_;
  const qcow2::StopCheck& stop_;
  Bytes buffer_;
  uint64_t merged_ = 0;
  uint64_t damaged_ = 0;
};

// Null when there are none that can be used. What a crash left half written does not fit them.
Result<std::unique_ptr<Sums>> sums_of(Files& files, const std::string& path, const qcow2::Image& image) {
  if (image.header().cluster_size() > kStep || image.was_unclean()) return nullptr;
  auto sums = Sums::open(files, sums_path(path), OpenMode::read, image.header());
  if (!sums && sums.error().code() == ErrorCode::corrupt) return nullptr;
  return sums;
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
  US_TRY(const auto sums, sums_of(files, upper_path, *upper));
  US_TRY(const auto lower, SummedImage::open(files, lower_path, qcow2::Access::modify, stop));
  const qcow2::Header& below = lower->header();
  if (below.size != above.size ||
      !can_merge(below.backing.empty(), below.cluster_size(), above.cluster_size()))
    return fail(ErrorCode::corrupt, lower_path + " cannot take in what " + upper_path + " has");
  Copy copy(*upper, sums.get(), *lower, stop);
  auto merged = copy.run();
  if (copy.damaged() != 0)
    log_error("store", upper_path + " does not fit its checksums in " + std::to_string(copy.damaged()) +
                           " bytes; understudy store check names the points");
  const bool stopped = !merged && merged.error().code() == ErrorCode::cancelled;
  if (merged || stopped) US_CHECK(lower->seal());
  return merged;
}

}  // namespace understudy::store
