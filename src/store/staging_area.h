// What is half received of one replica: the images in incoming/ and the cursor file that says how far they
// are durable. Knows nothing of points; whether a transfer may begin at all is decided by its owner.
//
// Lives as long as its replica; one thread at a time. A writing call that fails closes the images: what was
// received after the durable cursor is forgotten, and the next begin() of the same transfer goes on from
// there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/records.h"
#include "store/sums.h"

namespace understudy::store {

class StagingArea {
 public:
  StagingArea(Files& files, const Layout& layout, const ReplicaIdentity& identity);

  // What recovery found; nothing is open.
  void restore(const std::optional<StagingRecord>& found);
  const StagingRecord& record() const { return record_; }
  std::optional<Staging> current() const;

  // `below`: where the chain ends, for what continues it.
  Result<Cursor> begin(const TransferKey& key, uint32_t granule, const std::optional<ChainLink>& below);
  Status write(uint32_t disk, uint64_t offset, ByteView data);
  Status zero(uint32_t disk, uint64_t offset, uint64_t length);
  Status advance(Cursor cursor);

  // Everything received is durable and the images are closed: ready to be renamed.
  Status complete();
  std::vector<ChainLink> links() const;  // of what is staged, bottom first
  uint64_t bytes() const;
  // The staged images have become part of the chain.
  Status forget();
  Status drop();

 private:
  using Images = std::vector<std::unique_ptr<SummedImage>>;
  StagedLayer& top() { return record_.delta ? *record_.delta : *record_.base; }
  bool resumes(const TransferKey& key, uint32_t granule) const;
  Status begin_pass(const TransferKey& key, uint32_t granule, const std::optional<ChainLink>& below);
  Status begin_delta(const TransferKey& key, uint32_t granule, const std::optional<ChainLink>& below);
  Status make_images(const StagedLayer& layer, const std::optional<ChainLink>& below);
  Status open_images(const StagedLayer& layer);
  Status flush_images();
  Status save(const StagingRecord& record);
  Status drop_delta();
  Status remove_images(const StagedLayer& layer);
  Status accept(uint32_t disk, uint64_t offset, uint64_t length);
  Status checked(Status status);
  void fall_back();
  std::string path(const StagedLayer& layer, size_t disk) const;

  Files& files_;
  const Layout& layout_;
  const ReplicaIdentity& identity_;
  StagingRecord record_;   // keys as begun, cursors as durable
  StagingRecord saved_;    // what the cursor file says; empty: there is none
  bool unsure_ = false;    // a change of the cursor file broke off: it may say something else
  Images images_;          // of the top layer; empty: none is open
  bool backed_ = false;    // what is staged has a file below it
  Cursor position_;        // the next range comes at or after it
  uint64_t received_ = 0;  // bytes of data of the top layer, durable or not
};

}  // namespace understudy::store
