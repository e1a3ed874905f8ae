// Names of the files of a replica. All are made here, from validated targets and numbers; none is read from
// disk. Immutable; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace understudy::store {

// One file of a disk, by the cut that it holds.
struct FileNumber {
  uint64_t generation = 0;
  uint64_t sequence = 0;
  bool operator==(const FileNumber&) const = default;
};

std::string image_name(std::string_view target, FileNumber number);       // vda-1-12.qcow2
std::string active_name(std::string_view target);                         // vda-active.qcow2
std::string reverted_name(std::string_view target, uint64_t generation);  // vda-reverted-2.qcow2
std::string machine_name(FileNumber number);                              // machine-1-12
std::string sums_path(const std::string& image);                          // IMAGE.sums
bool valid_target(std::string_view target);                               // [a-z]{1,4}
// Could one of the functions above have made it, for any target?
bool is_image_name(std::string_view name);
bool is_sums_name(std::string_view name);  // vda-1-12.qcow2.sums
bool is_active_name(std::string_view name);
bool is_reverted_name(std::string_view name);
bool is_machine_name(std::string_view name);

class Layout {
 public:
  explicit Layout(std::string directory) : directory_(std::move(directory)) {}
  const std::string& directory() const { return directory_; }
  std::string parent() const { return directory_.substr(0, std::max<size_t>(directory_.rfind('/'), 1)); }
  std::string in(std::string_view name) const { return directory_ + "/" + std::string(name); }
  std::string incoming() const { return in("incoming"); }
  std::string staged(std::string_view name) const { return incoming() + "/" + std::string(name); }
  std::string manifest() const { return in("manifest"); }
  std::string removed_manifest() const { return in("manifest.removed"); }  // the replica is being destroyed
  std::string retired_manifest() const { return in("manifest.retired"); }  // its files are ordinary ones now
  std::string cursor() const { return staged("cursor"); }

 private:
  std::string directory_;  // absolute, without a slash at the end
};

}  // namespace understudy::store
