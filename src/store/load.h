// What is on disk of a replica, read and checked without changing anything: the first half of every start,
// and all that a command needs which works beside a running daemon or with it dead. Stateless; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/records.h"

namespace understudy::store {

// A merge that the manifest does not know of yet: of some disks, `lower` has already taken the name of the
// file above it.
struct OpenMerge {
  FileNumber lower;           // sequence 0: there is none
  std::vector<bool> renamed;  // per disk
  bool any() const { return lower.sequence != 0; }
};

struct Loaded {
  Manifest manifest;
  OpenMerge merge;
};

Result<Manifest> load_manifest(Files& files, const Layout& layout);  // not_found: there is no replica
// Every image of every chain (kind, size, cluster size, exact backing name) and every machine file; what
// contradicts the manifest is corrupt. With `top`: of every chain only that file and those below it.
Result<OpenMerge> check_chains(Files& files, const Layout& layout, const Manifest& manifest,
                               std::optional<FileNumber> top = std::nullopt);
Status check_machines(Files& files, const Layout& layout, const Manifest& manifest);
Result<Loaded> load_replica(Files& files, const std::string& directory);

// The files of a disk up to `top`, bottom first.
std::vector<std::string> files_of(const Layout& layout, const Loaded& loaded, size_t disk, FileNumber top);

// Is `path` a qcow2 image of this size and cluster size with exactly this backing name (empty: none)?
// Everything else is corrupt.
Status check_image(Files& files, const std::string& path, uint64_t size, uint32_t cluster_size,
                   const std::string& backing);

}  // namespace understudy::store
