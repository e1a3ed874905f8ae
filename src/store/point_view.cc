#include "store/point_view.h"

#include <algorithm>

#include "model/extent_math.h"

namespace understudy::store {
namespace {

constexpr uint64_t kTablesOfDisk = 16 << 20;  // shared by the files of a chain

Result<qcow2::Mapping> run_at(qcow2::Image& image, uint64_t& begin, qcow2::Mapping& run, uint64_t offset,
                              uint64_t most) {
  if (offset < begin || offset >= begin + run.length) {
    US_TRY(run, image.map(offset, most));
    begin = offset;
  }
  qcow2::Mapping rest = run;
  rest.length = least(most, begin + run.length - offset);
  return rest;
}

}  // namespace

PointView::PointView(RecoveryPoint point, std::vector<DiskGeometry> disks, std::shared_ptr<void> pin)
    : point_(std::move(point)), disks_(std::move(disks)), pin_(std::move(pin)) {}

Result<std::unique_ptr<PointView>> PointView::open(Files& files, RecoveryPoint point,
                                                   std::vector<DiskGeometry> disks,
                                                   const std::vector<std::vector<std::string>>& chains,
                                                   std::shared_ptr<void> pin) {
  std::unique_ptr<PointView> view(new PointView(std::move(point), std::move(disks), std::move(pin)));
  for (const auto& paths : chains) {
    Chain chain;
    for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
      US_TRY(auto image, qcow2::Image::open(files, *path, qcow2::Access::read));
      image->limit_tables(kTablesOfDisk / paths.size());
      chain.push_back({std::move(image), 0, {}});
    }
    view->chains_.push_back(std::move(chain));
  }
  return view;
}

Status PointView::check_range(uint32_t disk, uint64_t offset, uint64_t length) const {
  if (disk < disks_.size() && offset <= disks_[disk].size && length <= disks_[disk].size - offset) return {};
  return fail(ErrorCode::invalid_parameter, "a range outside the disks of the point");
}

Result<PointView::Found> PointView::find(uint32_t disk, uint64_t offset, uint64_t most) {
  for (Layer& layer : chains_[disk]) {
    US_TRY(const qcow2::Mapping run, run_at(*layer.image, layer.begin, layer.run, offset, most));
    most = run.length;
    if (run.kind != qcow2::Mapping::Kind::hole) return Found{run, &layer};
  }
  return Found{{qcow2::Mapping::Kind::zero, most, 0}, nullptr};
}

Result<qcow2::Mapping> PointView::map(uint32_t disk, uint64_t offset, uint64_t most) {
  US_CHECK(check_range(disk, offset, 0));
  most = least(most, disks_[disk].size - offset);
  if (most == 0) return qcow2::Mapping{qcow2::Mapping::Kind::zero, 0, 0};
  US_TRY(const Found found, find(disk, offset, most));
  return qcow2::Mapping{found.run.kind, found.run.length, 0};
}

Status PointView::read(uint32_t disk, uint64_t offset, MutableByteView into) {
  US_CHECK(check_range(disk, offset, into.size()));
  while (!into.empty()) {
    US_TRY(const Found found, find(disk, offset, into.size()));
    const MutableByteView piece = into.first(found.run.length);
    if (found.run.kind == qcow2::Mapping::Kind::data)
      US_CHECK(found.layer->image->read(offset, piece));
    else
      std::fill(piece.begin(), piece.end(), std::byte{0});
    offset += piece.size();
    into = into.subspan(piece.size());
  }
  return {};
}

}  // namespace understudy::store
