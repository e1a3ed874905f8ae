// How an image becomes durable, and how its refcounts are found again after a crash.
#include <algorithm>

#include "base/assert.h"
#include "model/extent_math.h"
#include "store/qcow2_entries.h"
#include "store/qcow2_image.h"

namespace understudy::store::qcow2 {
namespace {
constexpr uint64_t kWindow = uint64_t{1} << 26;  // clusters counted at a time when rebuilding: 8 MiB of bits
}

// Every range of clusters below end_ gets a refcount block; a block is a cluster of the file itself.
Status Image::append_refblocks() {
  const uint64_t per_block = header_.refcounts_per_block();
  for (uint64_t i = counted_ / per_block; i * per_block < end_; ++i) {
    if (i >= reftable_.size()) return damaged("has a refcount table that is too small");
    if (reftable_[i] != 0) continue;
    US_TRY(reftable_[i], allocate());
    std::byte raw[8];
    store_be(raw, reftable_[i]);
    US_CHECK(write_host(header_.reftable_offset + i * 8, raw));
  }
  return {};
}

Status Image::write_refcounts() {
  US_CHECK(append_refblocks());
  const uint64_t per_block = header_.refcounts_per_block();
  Bytes ones;
  for (uint64_t at = counted_; at < end_;) {
    const uint64_t n = least(per_block - at % per_block, end_ - at);
    ones.resize(n * 2);
    for (uint64_t i = 0; i < n; ++i) store_be(ones.data() + i * 2, uint16_t{1});
    US_CHECK(write_host(reftable_[at / per_block] + at % per_block * 2, ones));
    at += n;
  }
  counted_ = end_;
  return {};
}

Status Image::write_tables() {
  for (Table& table : tables_) {
    for (size_t page = 0; page < table.dirty_pages.size(); ++page) {
      if (!table.dirty_pages[page]) continue;
      US_CHECK(write_host(table.host + page * kPage, ByteView(table.bytes).subspan(page * kPage, kPage)));
      table.dirty_pages[page] = false;
    }
  }
  dirty_tables_ = false;
  return {};
}

Status Image::write_l1() {
  constexpr uint64_t per_page = kPage / 8;
  for (const uint64_t page : dirty_l1_) {
    const uint64_t n = least(per_page, l1_.size() - page * per_page);
    Bytes raw(n * 8);
    for (uint64_t i = 0; i < n; ++i) store_be(raw.data() + i * 8, l1_[page * per_page + i]);
    US_CHECK(write_host(header_.l1_offset + page * kPage, raw));
  }
  dirty_l1_.clear();
  return {};
}

Status Image::flush() {
  US_ASSERT(writable_);
  if (counted_ < end_) US_CHECK(write_refcounts());
  const uint64_t size = end_ * header_.cluster_size();
  if (file_size_ < size) {
    US_CHECK(file_->truncate(size));
    file_size_ = size;
    unsynced_ = true;
  }
  if (unsynced_) US_CHECK(file_->sync());
  unsynced_ = false;
  if (!dirty_tables_ && dirty_l1_.empty()) return {};
  US_CHECK(write_tables());
  US_CHECK(write_l1());
  US_CHECK(file_->sync());
  unsynced_ = false;
  return {};
}

Status Image::seal() {
  US_CHECK(flush());
  return marked_ ? mark(false) : Status();
}

// Calls `use` for every cluster that L1 and the L2 tables refer to. Each table is also written back as it is:
// after a failed sync the kernel believes pages to be on the disk that never got there.
Status Image::for_each_reference(const StopCheck& stop, const std::function<Status(uint64_t)>& use) {
  Bytes raw(header_.cluster_size());
  for (uint64_t index = 0; index < l1_.size(); ++index) {
    US_TRY(const uint64_t host, l1_host(index));
    if (host == 0) continue;
    if (stop) US_CHECK(stop());
    US_CHECK(use(host / header_.cluster_size()));
    US_CHECK(read_host(host, raw));
    for (uint64_t i = 0; i < header_.l2_entries(); ++i) {
      US_TRY(const uint64_t data, entry_host(load_be<uint64_t>(raw.data() + i * 8)));
      if (data != 0) US_CHECK(use(data / header_.cluster_size()));
    }
    US_CHECK(write_host(host, raw));
  }
  return {};
}

Status Image::rebuild_refcounts(const StopCheck& stop) {
  const uint64_t cluster = header_.cluster_size();
  const uint64_t per_block = header_.refcounts_per_block();
  // A table or refcount block outside the file is one that a crash kept from ever getting there. Of tables
  // there are no more than L1 has entries: what lies further out is damage, and met as such.
  const auto lost = [&](uint64_t host, uint64_t most) {
    return host % cluster == 0 && host / cluster >= end_ && host / cluster - end_ < most;
  };
  for (uint64_t& block : reftable_)
    if (lost(block, header_.capacity())) block = 0;
  for (uint64_t& entry : l1_)
    if ((entry & kL1Reserved) == 0 && lost(entry & kOffsetMask, l1_.size())) entry = 0;
  // What is the last cluster in use? The rest of the file, if any, is what a crash left.
  const uint64_t l1_clusters = align_up(l1_.size() * 8, cluster) / cluster;
  uint64_t used = std::max(header_.l1_offset / cluster + l1_clusters,
                           header_.reftable_offset / cluster + header_.reftable_clusters);
  for (const uint64_t block : reftable_) used = std::max(used, block / cluster + 1);
  US_CHECK(for_each_reference(stop, [&](uint64_t c) -> Status {
    used = std::max(used, c + 1);
    return {};
  }));
  end_ = used;
  file_size_ = end_ * cluster;
  US_CHECK(file_->truncate(file_size_));
  counted_ = 0;
  US_CHECK(append_refblocks());

  const uint64_t window = align_up(kWindow, per_block);
  std::vector<bool> seen;
  for (uint64_t first = 0; first < end_; first += window) {
    seen.assign(least(window, end_ - first), false);
    const auto use = [&](uint64_t c) -> Status {
      if (c < first || c - first >= seen.size()) return {};
      if (seen[c - first]) return damaged("uses a cluster twice");
      seen[c - first] = true;
      return {};
    };
    US_CHECK(use(0));
    for (uint64_t i = 0; i < l1_clusters; ++i) US_CHECK(use(header_.l1_offset / cluster + i));
    for (uint64_t i = 0; i < header_.reftable_clusters; ++i)
      US_CHECK(use(header_.reftable_offset / cluster + i));
    for (const uint64_t block : reftable_)
      if (block != 0) US_CHECK(use(block / cluster));
    US_CHECK(for_each_reference(stop, use));
    Bytes block(cluster);
    for (uint64_t at = first; at < first + seen.size(); at += per_block) {
      for (uint64_t i = 0; i < per_block; ++i) {
        const uint64_t c = at + i;
        store_be(block.data() + i * 2, static_cast<uint16_t>(c < first + seen.size() && seen[c - first]));
      }
      US_CHECK(write_host(reftable_[at / per_block], block));
    }
  }
  counted_ = end_;
  for (uint64_t page = 0; page * kPage < l1_.size() * 8; ++page) dirty_l1_.insert(page);
  return flush();
}

}  // namespace understudy::store::qcow2
