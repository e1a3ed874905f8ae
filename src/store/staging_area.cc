#include "store/staging_area.h"

#include "base/assert.h"
#include "base/fault_point.h"
#include "store/durable_file.h"

namespace understudy::store {

StagingArea::StagingArea(Files& files, const Layout& layout, const ReplicaIdentity& identity)
    : files_(files), layout_(layout), identity_(identity) {}

void StagingArea::restore(const std::optional<StagingRecord>& found) {
  images_.clear();
  record_ = saved_ = found.value_or(StagingRecord());
  unsure_ = true;  // recovery may have dropped what the file names
}

std::optional<Staging> StagingArea::current() const {
  if (record_.empty()) return std::nullopt;
  return Staging{record_.top().key, record_.top().cursor};
}

std::string StagingArea::path(const StagedLayer& layer, size_t disk) const {
  return layout_.staged(image_name(identity_.disks[disk].target, layer.link.number));
}

// --- begin ---

// An overlay takes whole clusters only: a transfer with smaller granules cannot go on in it.
bool StagingArea::resumes(const TransferKey& key, uint32_t granule) const {
  if (record_.empty() || record_.top().key != key) return false;
  const uint32_t cluster = record_.top().link.cluster_size;
  return key.kind == TransferKind::pass ? !backed_ || granule % cluster == 0 : granule == cluster;
}

Result<Cursor> StagingArea::begin(const TransferKey& key, uint32_t granule,
                                  const std::optional<ChainLink>& below) {
  backed_ = below.has_value();
  const bool goes_on = resumes(key, granule);
  if (unsure_) US_CHECK(checked(save(record_)));
  if (!goes_on)
    US_CHECK(checked(key.kind == TransferKind::pass ? begin_pass(key, granule, below)
                                                    : begin_delta(key, granule, below)));
  if (images_.empty()) US_CHECK(checked(open_images(record_.top())));
  position_ = top().cursor;
  received_ = top().bytes;
  return position_;
}

Status StagingArea::begin_pass(const TransferKey& key, uint32_t granule,
                               const std::optional<ChainLink>& below) {
  if (key.from == 0) {
    US_CHECK(drop());
    record_.base = StagedLayer{key, {}, {{key.lineage.generation, key.lineage.sequence}, granule}, 0};
    return make_images(*record_.base, below);
  }
  US_ASSERT(record_.base);
  if (record_.delta)
    US_CHECK(drop_delta());
  else if (!images_.empty())
    record_.base->bytes = received_;
  record_.base->key = key;
  record_.base->cursor = {};
  return {};
}

Status StagingArea::begin_delta(const TransferKey& key, uint32_t granule,
                                const std::optional<ChainLink>& below) {
  if (key.from != 0) {
    US_CHECK(drop());
  } else if (record_.delta) {  // the closing increment of the first copy, again: the base stays
    US_CHECK(drop_delta());
  } else if (!images_.empty()) {
    US_CHECK(flush_images());
    record_.base->bytes = received_;
  }
  record_.delta = StagedLayer{key, {}, {{key.lineage.generation, key.lineage.sequence}, granule}, 0};
  return make_images(*record_.delta, record_.base ? std::optional(record_.base->link) : below);
}

Status StagingArea::make_images(const StagedLayer& layer, const std::optional<ChainLink>& below) {
  Images made;
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk) {
    const DiskGeometry& geometry = identity_.disks[disk];
    qcow2::Image::New wanted{geometry.size, layer.link.cluster_size, {}, OpenMode::create_new};
    if (below) wanted.backing = image_name(geometry.target, below->number);
    US_CHECK(files_.remove(path(layer, disk)));
    US_TRY(auto image, SummedImage::create(files_, path(layer, disk), wanted));
    made.push_back(std::move(image));
  }
  US_CHECK(files_.sync_directory(layout_.incoming()));  // before a cursor names them
  images_ = std::move(made);
  return {};
}

Status StagingArea::open_images(const StagedLayer& layer) {
  Images opened;
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk) {
    US_TRY(auto image, SummedImage::open(files_, path(layer, disk), qcow2::Access::resume));
    opened.push_back(std::move(image));
  }
  images_ = std::move(opened);
  return {};
}

// --- receiving ---

Status StagingArea::checked(Status status) {
  if (!status) fall_back();
  return status;
}

void StagingArea::fall_back() {
  images_.clear();
  const StagingRecord gone = std::exchange(record_, saved_);
  const auto same_files = [](const std::optional<StagedLayer>& a, const std::optional<StagedLayer>& b) {
    return a && b && a->link == b->link;
  };
  // What cannot be removed now is overwritten later, or removed by the next start.
  if (gone.delta && !same_files(gone.delta, record_.delta)) (void)remove_images(*gone.delta);
  if (gone.base && !same_files(gone.base, record_.base)) (void)remove_images(*gone.base);
}

Status StagingArea::accept(uint32_t disk, uint64_t offset, uint64_t length) {
  if (images_.empty())
    return fail(ErrorCode::invalid_state, "no transfer is open for " + identity_.name, "begin it again");
  if (disk >= images_.size() || offset > identity_.disks[disk].size ||
      length > identity_.disks[disk].size - offset)
    return fail(ErrorCode::protocol, "a range outside the disks of " + identity_.name);
  const uint64_t granule = top().link.cluster_size;
  const bool to_end = offset + length == identity_.disks[disk].size;
  if ((record_.delta || backed_) && (offset % granule != 0 || (length % granule != 0 && !to_end)))
    return fail(ErrorCode::protocol,
                "a range that is not aligned to the granule of " + std::to_string(granule));
  if (const Cursor start{disk, offset}; start < position_)
    return fail(ErrorCode::protocol, "a range out of order at byte " + std::to_string(offset) + " of " +
                                         identity_.disks[disk].target);
  if (disk != position_.disk && position_.disk < images_.size()) {  // that one is done: give its memory back
    US_CHECK(checked(images_[position_.disk]->flush()));
    images_[position_.disk]->shrink();
  }
  position_ = {disk, offset + length};
  return {};
}

Status StagingArea::write(uint32_t disk, uint64_t offset, ByteView data) {
  US_CHECK(accept(disk, offset, data.size()));
  received_ += data.size();
  return checked(images_[disk]->write(offset, data));
}

Status StagingArea::zero(uint32_t disk, uint64_t offset, uint64_t length) {
  US_CHECK(accept(disk, offset, length));
  return checked(images_[disk]->zero(offset, length));
}

Status StagingArea::flush_images() {
  for (const auto& image : images_) US_CHECK(image->flush());
  return {};
}

Status StagingArea::advance(Cursor cursor) {
  if (images_.empty())
    return fail(ErrorCode::invalid_state, "no transfer is open for " + identity_.name, "begin it again");
  if (cursor < top().cursor || cursor.disk > images_.size())
    return fail(ErrorCode::protocol, "a cursor that goes back or behind the last disk of " + identity_.name);
  if (cursor == top().cursor && record_ == saved_ && received_ == top().bytes) return {};
  US_CHECK(fault_point("store.cursor.before-sync"));
  US_CHECK(checked(flush_images()));
  StagingRecord next = record_;
  StagedLayer& layer = next.delta ? *next.delta : *next.base;
  layer.cursor = cursor;
  layer.bytes = received_;
  US_CHECK(checked(save(next)));
  record_ = std::move(next);
  if (position_ < cursor) position_ = cursor;
  return {};
}

Status StagingArea::save(const StagingRecord& record) {
  if (record.empty()) {
    if (saved_.empty() && !unsure_) return {};
    unsure_ = true;
    US_CHECK(files_.remove(layout_.cursor()));
    US_CHECK(files_.sync_directory(layout_.incoming()));
  } else {
    US_CHECK(prepare_file(files_, layout_.cursor(), encode_cursor(record)));
    US_CHECK(fault_point("store.cursor.before-rename"));
    unsure_ = true;
    US_CHECK(commit_file(files_, layout_.cursor()));
    US_CHECK(fault_point("store.cursor.after-rename"));
  }
  saved_ = record;
  unsure_ = false;
  return {};
}

Status StagingArea::complete() {
  if (images_.empty())
    return fail(ErrorCode::invalid_state, "no transfer is open for " + identity_.name, "begin it again");
  US_CHECK(checked(flush_images()));
  top().bytes = received_;
  images_.clear();
  return {};
}

std::vector<ChainLink> StagingArea::links() const {
  std::vector<ChainLink> links;
  if (record_.base) links.push_back(record_.base->link);
  if (record_.delta) links.push_back(record_.delta->link);
  return links;
}

uint64_t StagingArea::bytes() const {
  return (record_.base ? record_.base->bytes : 0) + (record_.delta ? record_.delta->bytes : 0);
}

// --- dropping: first the cursor, then what it names ---

Status StagingArea::forget() {
  images_.clear();
  record_ = {};
  return save(record_);
}

Status StagingArea::remove_images(const StagedLayer& layer) {
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk) {
    US_CHECK(files_.remove(path(layer, disk)));
    US_CHECK(files_.remove(sums_path(path(layer, disk))));
  }
  return {};
}

Status StagingArea::drop_delta() {
  images_.clear();
  StagingRecord rest = record_;
  rest.delta.reset();
  if (saved_.delta) US_CHECK(save(rest.base ? rest : StagingRecord()));
  US_CHECK(remove_images(*record_.delta));
  record_ = rest;
  return {};
}

Status StagingArea::drop() {
  images_.clear();
  US_CHECK(checked(save({})));
  if (record_.delta) US_CHECK(checked(remove_images(*record_.delta)));
  if (record_.base) US_CHECK(checked(remove_images(*record_.base)));
  record_ = {};
  return {};
}

}  // namespace understudy::store
