// The header of a qcow2 image: what of the format the product writes, and the door that all images pass
// before anything else in them is believed. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "store/files.h"

namespace understudy::store::qcow2 {

inline constexpr uint32_t kLeastClusterBits = 12;
inline constexpr uint32_t kMostClusterBits = 21;
inline constexpr uint64_t kMostL1Bytes = 32 << 20;       // QEMU refuses more
inline constexpr uint64_t kMostReftableBytes = 8 << 20;  // QEMU refuses more
inline constexpr uint64_t kMostBackingName = 1023;       // of the format
inline constexpr uint64_t kIncompatibleDirty = 1;  // refcounts may be behind: they are rebuilt before a write

struct Header {
  uint64_t size = 0;  // of the disk
  uint32_t cluster_bits = 16;
  uint64_t l1_offset = 0;
  uint32_t l1_entries = 0;
  uint64_t reftable_offset = 0;
  uint32_t reftable_clusters = 0;
  uint64_t incompatible = 0;
  uint64_t autoclear = 0;
  std::string backing;         // empty: none
  std::string backing_format;  // "qcow2" in all we write
  bool bitmaps = false;        // has the extension of persistent bitmaps

  uint64_t cluster_size() const { return uint64_t{1} << cluster_bits; }
  uint64_t l2_entries() const { return cluster_size() / 8; }
  uint64_t l2_span() const { return cluster_size() * l2_entries(); }   // bytes of disk under one L2 table
  uint64_t refcounts_per_block() const { return cluster_size() / 2; }  // 16 bits each
  uint64_t reftable_entries() const { return reftable_clusters * cluster_size() / 8; }
  uint64_t capacity() const {
    return reftable_entries() * refcounts_per_block();
  }  // clusters the file may have
};

// A new image of our own: header, refcount table, L1, each sized once and for all. invalid_parameter when the
// disk is too large for the cluster size.
Result<Header> plan_header(uint64_t size, uint64_t cluster_size, const std::string& backing);
Bytes encode_header(const Header& header);

// corrupt: damaged. not_supported: not of the kind we open (version 2, data file, encryption, snapshots,
// unknown features, other refcount widths). Everything the header points at is inside the file when this
// succeeds.
Result<Header> read_header(File& file, const std::string& path);

inline constexpr uint64_t kIncompatibleOffset = 72;  // in the file, big-endian, 8 bytes
inline constexpr uint64_t kAutoclearOffset = 88;

}  // namespace understudy::store::qcow2
