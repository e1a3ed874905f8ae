#include "transfer/compare_source.h"

#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "model/extent_math.h"
#include "transfer/hash_feed.h"

namespace understudy::transfer {
namespace {

using Deliver = std::function<Status(ExtentData)>;
using Report = std::function<void(const Compared&)>;

uint64_t bytes_before(const std::vector<DiskGeometry>& disks, Cursor at) {
  uint64_t bytes = at.offset;
  for (uint32_t disk = 0; disk < at.disk; ++disk) bytes += disks[disk].size;
  return bytes;
}

// One walk over the disks: the export's extents against the replica's hashes.
class Comparison {
 public:
  Comparison(const std::vector<DiskGeometry>& disks, uint32_t granule, const HashSecret& secret, Cursor from,
             HashFeed& feed, const Deliver& deliver, const Report& report)
      : disks_(disks),
        granule_(granule),
        hasher_(secret, granule),
        feed_(feed),
        deliver_(deliver),
        report_(report),
        at_(from) {
    compared_ = {bytes_before(disks, from), bytes_before(disks, {static_cast<uint32_t>(disks.size()), 0}), 0};
  }

  Status take(const ExtentData& given) {
    const Extent& e = given.extent;
    US_CHECK(check_next(given));
    for (uint64_t done = 0; done < e.length;) {
      US_CHECK(need_run());
      const Piece piece = next_piece(given, done);
      US_CHECK(piece.hash == runs_[run_].hash ? flush() : add(e.zero, piece));
      US_CHECK(move(piece.length));
      done += piece.length;
    }
    return {};
  }

  Status end() {
    if (at_.disk != disks_.size())
      return fail(ErrorCode::failed, "the export to compare ends on disk " + disks_[at_.disk].target +
                                         " at " + std::to_string(at_.offset));
    US_CHECK(flush());
    if (report_) report_(compared_);
    return {};
  }

 private:
  // One block, or all zero blocks that the run has for them.
  struct Piece {
    uint64_t length = 0;
    ByteView data;
    BlockHash hash;
  };
  Piece next_piece(const ExtentData& given, uint64_t done) const {
    const uint64_t left = given.extent.length - done;
    if (!given.extent.zero) {
      const ByteView data = ByteView(given.data).subspan(done, least(left, granule_));
      return {data.size(), data, hasher_.hash(data)};
    }
    if (left < granule_) return {left, {}, hasher_.zero(left)};
    return {least(runs_[run_].count, left / granule_) * granule_, {}, hasher_.zero()};
  }

  Status check_next(const ExtentData& given) const {
    const Extent& e = given.extent;
    if (at_.disk < disks_.size() && Cursor{e.disk, e.offset} == at_) {
      const uint64_t left = disks_[at_.disk].size - at_.offset;
      if (e.length > 0 && e.length <= left && (e.length % granule_ == 0 || e.length == left) &&
          given.data.size() == (e.zero ? 0 : e.length))
        return {};
    }
    return fail(ErrorCode::failed, "the export to compare yields disk " + std::to_string(e.disk) + " from " +
                                       std::to_string(e.offset) + ", " + std::to_string(e.length) +
                                       " bytes, when disk " + std::to_string(at_.disk) + " from " +
                                       std::to_string(at_.offset) + " is to come");
  }

  // The run of the block at `at_`, which is left to compare.
  Status need_run() {
    if (run_ < runs_.size() && runs_[run_].count == 0) ++run_;
    if (run_ < runs_.size()) return {};
    if (report_) report_(compared_);
    US_TRY(HashFeed::Range range, feed_.next());
    US_ASSERT(range.start == at_ && !range.runs.empty());
    runs_ = std::move(range.runs);
    run_ = 0;
    return {};
  }

  Status add(bool zero, const Piece& piece) {
    const Extent& e = pending_.extent;
    const bool joins = e.length > 0 && e.zero == zero && Cursor{e.disk, e.offset + e.length} == at_ &&
                       (zero || e.length + piece.length <= limits::kMostExtentData);
    if (!joins) {
      US_CHECK(flush());
      pending_.extent = {at_.disk, at_.offset, 0, zero};
    }
    pending_.extent.length += piece.length;
    pending_.data.insert(pending_.data.end(), piece.data.begin(), piece.data.end());
    compared_.differing += piece.length;
    return {};
  }

  Status flush() {
    if (pending_.extent.length == 0) return {};
    return deliver_(std::exchange(pending_, ExtentData()));
  }

  Status move(uint64_t length) {
    runs_[run_].count -= static_cast<uint32_t>(blocks_in(length, granule_));
    compared_.compared += length;
    since_mark_ += length;
    at_.offset += length;
    if (at_.offset == disks_[at_.disk].size) at_ = {at_.disk + 1, 0};
    if (since_mark_ < limits::kComparedEvery || at_.disk == disks_.size()) return {};
    since_mark_ = 0;
    US_CHECK(flush());
    return deliver_({{at_.disk, at_.offset, 0, true}, {}});
  }

  const std::vector<DiskGeometry>& disks_;
  const uint32_t granule_;
  const BlockHasher hasher_;
  HashFeed& feed_;
  const Deliver& deliver_;
  const Report& report_;
  Cursor at_;  // everything before was compared; never at the end of a disk
  std::vector<HashRun> runs_;
  size_t run_ = 0;
  ExtentData pending_;  // differs, not delivered yet; ends at `at_`
  uint64_t since_mark_ = 0;
  Compared compared_;
};

class CompareSource final : public Source {
 public:
  CompareSource(std::unique_ptr<Source> all, std::vector<DiskGeometry> disks, const HashSecret& secret,
                AskHashes ask, Report report)
      : all_(std::move(all)),
        disks_(std::move(disks)),
        secret_(secret),
        ask_(std::move(ask)),
        report_(std::move(report)) {}

  uint32_t granule() const override { return all_->granule(); }

  Result<uint64_t> bytes_to_send(Cursor from) override {
    return bytes_before(disks_, {static_cast<uint32_t>(disks_.size()), 0}) -
           bytes_before(disks_, start(from));
  }

  Status stream(Cursor from, uint64_t most_in_flight, const Deliver& deliver,
                const CancelToken& cancel) override {
    const Cursor at = start(from);
    if (at.disk == disks_.size()) return {};
    HashFeed feed(disks_, granule(), at, ask_);
    Comparison comparison(disks_, granule(), secret_, at, feed, deliver, report_);
    const auto take = [&](const ExtentData& extent) { return comparison.take(extent); };
    US_CHECK(all_->stream(at, most_in_flight, take, cancel));
    return comparison.end();
  }

 private:
  // A block's beginning; the end of a disk, which need not be one, is the beginning of the next.
  Cursor start(Cursor from) const {
    const auto count = static_cast<uint32_t>(disks_.size());
    if (from.disk >= count) return {count, 0};
    if (from.offset >= disks_[from.disk].size) return {from.disk + 1, 0};
    return {from.disk, align_down(from.offset, granule())};
  }

  const std::unique_ptr<Source> all_;
  const std::vector<DiskGeometry> disks_;
  const HashSecret secret_;
  const AskHashes ask_;
  const Report report_;
};

}  // namespace

std::unique_ptr<Source> compare_source(std::unique_ptr<Source> all, std::vector<DiskGeometry> disks,
                                       HashSecret secret, AskHashes ask, Report progress) {
  return std::make_unique<CompareSource>(std::move(all), std::move(disks), secret, std::move(ask),
                                         std::move(progress));
}

AskHashes ask_over(std::function<Result<std::unique_ptr<Peer>>()> connect, HashesRequest about) {
  const auto kept = std::make_shared<std::unique_ptr<Peer>>();
  return [connect = std::move(connect), about = std::move(about), kept](
             uint32_t disk, uint64_t offset, uint64_t length) mutable -> Result<std::vector<HashRun>> {
    std::unique_ptr<Peer>& peer = *kept;
    about.disk = disk;
    about.offset = offset;
    about.length = length;
    while (true) {
      const bool fresh = peer == nullptr;
      if (fresh) {
        US_TRY(peer, connect());
      }
      auto answer = peer->hashes(about);
      if (answer) return std::move(answer->runs);
      peer.reset();
      if (fresh || answer.error().code() != ErrorCode::not_available) return fail(answer.error());
    }
  };
}

}  // namespace understudy::transfer
