#include "store/qcow2_image.h"

#include <algorithm>

#include "base/assert.h"
#include "model/extent_math.h"
#include "store/qcow2_entries.h"

namespace understudy::store::qcow2 {

Image::Image(std::unique_ptr<File> file, std::string path, Header header)
    : file_(std::move(file)), path_(std::move(path)), header_(std::move(header)) {}
Image::~Image() = default;

tl::unexpected<Error> Image::damaged(const std::string& what) const {
  return fail(ErrorCode::corrupt, path_ + " " + what, "qemu-img check " + path_);
}

Result<std::unique_ptr<Image>> Image::create(Files& files, const std::string& path, const New& wanted) {
  US_TRY(Header header, plan_header(wanted.size, wanted.cluster_size, wanted.backing));
  US_TRY(auto file, files.open(path, wanted.mode));
  std::unique_ptr<Image> image(new Image(std::move(file), path, std::move(header)));
  const Header& h = image->header_;
  image->writable_ = true;
  image->l1_.resize(h.l1_entries);
  image->reftable_.resize(h.reftable_entries());
  image->end_ = (h.l1_offset + align_up(h.l1_entries * uint64_t{8}, h.cluster_size())) / h.cluster_size();
  US_CHECK(image->write_host(0, encode_header(h)));
  return image;
}

Result<std::unique_ptr<Image>> Image::open(Files& files, const std::string& path, Access access,
                                           const StopCheck& stop) {
  US_TRY(auto file, files.open(path, access == Access::read ? OpenMode::read : OpenMode::write_existing));
  US_TRY(Header header, read_header(*file, path));
  std::unique_ptr<Image> image(new Image(std::move(file), path, std::move(header)));
  US_TRY(image->file_size_, image->file_->size());
  const Header& h = image->header_;
  image->end_ = image->counted_ = align_up(image->file_size_, h.cluster_size()) / h.cluster_size();
  US_CHECK(image->load_l1());
  image->unclean_ = h.incompatible & kIncompatibleDirty;
  if (access == Access::read) return image;
  if (h.bitmaps)
    return fail(ErrorCode::not_supported,
                path + " has persistent bitmaps, which a write from here would make wrong",
                "qemu-img bitmap --remove " + path + " NAME, for each that `qemu-img info` shows");
  US_CHECK(image->load_reftable());
  if (access == Access::modify) US_CHECK(image->mark(true));
  image->writable_ = true;
  if (access == Access::resume || image->unclean_) US_CHECK(image->rebuild_refcounts(stop));
  return image;
}

Status Image::load_l1() {
  Bytes raw(header_.l1_entries * uint64_t{8});
  US_CHECK(read_host(header_.l1_offset, raw));
  l1_.resize(header_.l1_entries);
  for (size_t i = 0; i < l1_.size(); ++i) l1_[i] = load_be<uint64_t>(raw.data() + i * 8);
  return {};
}

Status Image::load_reftable() {
  Bytes raw(header_.reftable_entries() * 8);
  US_CHECK(read_host(header_.reftable_offset, raw));
  reftable_.resize(header_.reftable_entries());
  for (size_t i = 0; i < reftable_.size(); ++i) {
    reftable_[i] = load_be<uint64_t>(raw.data() + i * 8);
    if (reftable_[i] % header_.cluster_size() != 0 ||
        reftable_[i] / header_.cluster_size() >= header_.capacity())
      return damaged("has a damaged refcount table");
  }
  return {};
}

Status Image::mark(bool dirty) {
  std::byte value[8];
  header_.incompatible = dirty ? header_.incompatible | kIncompatibleDirty
                               : header_.incompatible & ~uint64_t{kIncompatibleDirty};
  store_be(value, header_.incompatible);
  US_CHECK(write_host(kIncompatibleOffset, value));
  store_be(value, header_.autoclear = 0);  // what we do not keep up to date is not to be believed
  US_CHECK(write_host(kAutoclearOffset, value));
  US_CHECK(file_->sync());
  marked_ = dirty;
  return {};
}

Status Image::check_range(uint64_t offset, uint64_t length) const {
  if (offset > header_.size || length > header_.size - offset)
    return fail(ErrorCode::invalid_parameter, path_ + ": a range behind the end of the disk");
  return {};
}

Status Image::write_host(uint64_t offset, ByteView bytes) {
  unsynced_ = true;
  US_CHECK(file_->write_at(offset, bytes));
  file_size_ = std::max(file_size_, offset + bytes.size());
  return {};
}

// QEMU leaves the last cluster of a file short: what is not there reads as zeroes.
Status Image::read_host(uint64_t offset, MutableByteView into) {
  const uint64_t there = offset < file_size_ ? least(into.size(), file_size_ - offset) : 0;
  if (there > 0) US_CHECK(file_->read_at(offset, into.first(there)));
  std::fill(into.begin() + static_cast<ptrdiff_t>(there), into.end(), std::byte{0});
  return {};
}

// --- the two levels of tables ---

// Is this a cluster of the file? One that is only read may grow meanwhile: a merge appends to it.
Result<bool> Image::inside(uint64_t host) {
  if (host % header_.cluster_size() != 0) return false;
  if (host / header_.cluster_size() >= end_ && !writable_) {
    US_TRY(file_size_, file_->size());
    end_ = counted_ = align_up(file_size_, header_.cluster_size()) / header_.cluster_size();
  }
  return host / header_.cluster_size() < end_;
}

Result<uint64_t> Image::l1_host(uint64_t index) {
  const uint64_t entry = l1_[index];
  const uint64_t host = entry & kOffsetMask;
  US_TRY(const bool good, inside(host));
  if ((entry & kL1Reserved) != 0 || !good) return damaged("has a damaged L1 table");
  return host;
}

Result<uint64_t> Image::entry_host(uint64_t entry) {
  if (entry & kCompressed)
    return fail(ErrorCode::not_supported, path_ + " has compressed clusters", "qemu-img convert -O qcow2 it");
  const uint64_t host = entry & kOffsetMask;
  US_TRY(const bool good, inside(host));
  if ((entry & kL2Reserved) != 0 || !good) return damaged("has a damaged L2 table");
  return host;
}

Status Image::make_room() {
  const size_t most = std::max<uint64_t>(4, most_tables_ / header_.cluster_size());
  if (tables_.size() < most) return {};
  const auto& dirty = tables_.back().dirty_pages;
  if (std::find(dirty.begin(), dirty.end(), true) != dirty.end()) US_CHECK(flush());
  by_index_.erase(tables_.back().index);
  tables_.pop_back();
  return {};
}

// nullptr when there is none and none is to be made.
Result<Image::Table*> Image::table(uint64_t index, bool make) {
  if (!tables_.empty() && tables_.front().index == index) return &tables_.front();
  if (const auto found = by_index_.find(index); found != by_index_.end()) {
    tables_.splice(tables_.begin(), tables_, found->second);
    return &tables_.front();
  }
  US_TRY(uint64_t host, l1_host(index));
  if (host == 0 && !make) return nullptr;
  US_CHECK(make_room());
  Table fresh;
  fresh.index = index;
  fresh.bytes.resize(header_.cluster_size());
  fresh.dirty_pages.resize(header_.cluster_size() / kPage);
  if (host != 0) {
    US_CHECK(read_host(host, fresh.bytes));
  } else {
    US_TRY(host, allocate());
    l1_[index] = host | kCopied;
    dirty_l1_.insert(index * 8 / kPage);
  }
  fresh.host = host;
  tables_.push_front(std::move(fresh));
  by_index_[index] = tables_.begin();
  return &tables_.front();
}

Result<Image::Slot> Image::slot(uint64_t offset, bool make) {
  const uint64_t cluster = offset / header_.cluster_size();
  Slot slot;
  US_TRY(slot.table, table(cluster / header_.l2_entries(), make));
  slot.at = cluster % header_.l2_entries();
  if (slot.table) slot.entry = load_be<uint64_t>(slot.table->bytes.data() + slot.at * 8);
  return slot;
}

void Image::put(const Slot& slot, uint64_t entry) {
  store_be(slot.table->bytes.data() + slot.at * 8, entry);
  slot.table->dirty_pages[slot.at * 8 / kPage] = true;
  dirty_tables_ = true;
}

// --- reading ---

Result<Mapping> Image::map(uint64_t offset, uint64_t most) {
  US_CHECK(check_range(offset, 0));
  const uint64_t end = offset + least(most, header_.size - offset);
  const uint64_t cluster = header_.cluster_size();
  Mapping run;
  for (uint64_t at = offset; at < end;) {
    US_TRY(const Slot here, slot(at, false));
    const uint64_t unit = here.table ? cluster : header_.l2_span();
    Mapping piece;
    if (here.entry & kZero) {
      piece.kind = Mapping::Kind::zero;
    } else if (here.entry != 0) {
      US_TRY(piece.host, entry_host(here.entry));
      if (piece.host == 0) return damaged("has a damaged L2 table");
      piece.kind = Mapping::Kind::data;
      piece.host += at % cluster;
    }
    if (at == offset) {
      run = piece;
    } else if (piece.kind != run.kind ||
               (piece.kind == Mapping::Kind::data && piece.host != run.host + (at - offset))) {
      break;
    }
    at = least(end, align_down(at, unit) + unit);
    run.length = at - offset;
  }
  return run;
}

Status Image::read(uint64_t offset, MutableByteView into) {
  US_CHECK(check_range(offset, into.size()));
  while (!into.empty()) {
    US_TRY(const Mapping run, map(offset, into.size()));
    if (run.kind == Mapping::Kind::data)
      US_CHECK(read_host(run.host, into.first(run.length)));
    else
      std::fill_n(into.begin(), run.length, std::byte{0});
    offset += run.length;
    into = into.subspan(run.length);
  }
  return {};
}

// --- writing ---

Result<uint64_t> Image::allocate() {
  if (end_ + 2 >= header_.capacity())
    return fail(ErrorCode::too_large, path_ + ": its refcount table cannot describe a longer file",
                "qemu-img convert -O qcow2 it");
  return end_++ * header_.cluster_size();
}

// The place in the file of a range inside one cluster, made if need be; what else is in the cluster reads as
// before.
Result<uint64_t> Image::place(uint64_t offset, uint64_t length) {
  const uint64_t cluster = header_.cluster_size();
  const uint64_t in = offset % cluster;
  const bool whole = in == 0 && (length == cluster || offset + length == header_.size);
  US_TRY(const Slot here, slot(offset, true));
  US_TRY(uint64_t host, entry_host(here.entry));
  const bool zero = here.entry & kZero;
  if (host != 0 && !(here.entry & kCopied)) return damaged("shares a cluster with a snapshot");
  if (host != 0 && !zero) return host + in;
  if (!whole && !zero && !header_.backing.empty())
    return fail(ErrorCode::invalid_parameter,
                path_ + ": a part of a cluster whose rest is in the backing file");
  if (host == 0) {
    US_TRY(host, allocate());  // behind the end of the file: reads as zeroes
  } else if (!whole) {
    US_CHECK(write_host(host, Bytes(cluster)));
  }
  put(here, host | kCopied);
  return host + in;
}

Status Image::write(uint64_t offset, ByteView data) {
  US_ASSERT(writable_);
  US_CHECK(check_range(offset, data.size()));
  const uint64_t cluster = header_.cluster_size();
  while (!data.empty()) {
    uint64_t start = 0;
    uint64_t placed = 0;
    while (placed < data.size()) {
      const uint64_t part = least(cluster - (offset + placed) % cluster, data.size() - placed);
      US_TRY(const uint64_t host, place(offset + placed, part));
      if (placed == 0)
        start = host;
      else if (host != start + placed)
        break;  // has its place now, and is written in the next round
      placed += part;
    }
    US_CHECK(write_host(start, data.first(placed)));
    offset += placed;
    data = data.subspan(placed);
  }
  return {};
}

// Zeroes what of the range lies in one table, and says how much that was.
Result<uint64_t> Image::zero_table(uint64_t offset, uint64_t length) {
  const uint64_t cluster = header_.cluster_size();
  const uint64_t end = offset + least(length, header_.l2_span() - offset % header_.l2_span());
  const bool backed = !header_.backing.empty();
  uint64_t hole = 0;  // a run to give back
  uint64_t hole_length = 0;
  const auto give_back = [&](uint64_t host, uint64_t n) -> Status {
    if (hole_length != 0 && hole + hole_length != host) {
      US_CHECK(file_->punch(hole, hole_length));
      hole_length = 0;
    }
    if (hole_length == 0) hole = host;
    hole_length += n;
    return {};
  };
  for (uint64_t at = offset; at < end;) {
    const uint64_t in = at % cluster;
    const uint64_t part = least(cluster - in, end - at);
    const bool whole = in == 0 && (part == cluster || at + part == header_.size);
    US_TRY(const Slot here, slot(at, backed));
    if (!here.table) return end - offset;  // nothing there, and nothing behind
    US_TRY(const uint64_t host, entry_host(here.entry));
    const bool data = host != 0 && !(here.entry & kZero);
    if (data && !(here.entry & kCopied)) return damaged("shares a cluster with a snapshot");
    if (data) {
      unsynced_ = true;
      US_CHECK(give_back(host + in, whole ? cluster : part));
      if (whole) put(here, host | kCopied | kZero);
    } else if (here.entry == 0 && backed) {
      if (!whole)
        return fail(ErrorCode::invalid_parameter,
                    path_ + ": a part of a cluster whose rest is in the backing file");
      put(here, kZero);
    }
    at += part;
  }
  if (hole_length != 0) US_CHECK(file_->punch(hole, hole_length));
  return end - offset;
}

Status Image::zero(uint64_t offset, uint64_t length) {
  US_ASSERT(writable_);
  US_CHECK(check_range(offset, length));
  while (length > 0) {
    US_TRY(const uint64_t done, zero_table(offset, length));
    offset += done;
    length -= done;
  }
  return {};
}

void Image::shrink() {
  US_ASSERT(!dirty_tables_);
  by_index_.clear();
  tables_.clear();
}

}  // namespace understudy::store::qcow2
