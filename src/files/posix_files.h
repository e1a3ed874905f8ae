// The real file system behind store's seam. Files belong to the group QEMU runs in, so that a guest can be
// started on them; nothing is reached through a symbolic link in the last component of a path. Any thread.
#pragma once

#include <string>

#include "store/files.h"

namespace understudy::files {

class PosixFiles final : public store::Files {
 public:
  // `group`: owns what is created, if the machine has it and this process may give files to it.
  explicit PosixFiles(const std::string& group = "libvirt-qemu");

  Result<std::unique_ptr<store::File>> open(const std::string& path, store::OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<uint64_t> free_space(const std::string& path) override;

 private:
  unsigned group_;  // (gid_t)-1: leave as it is
};

}  // namespace understudy::files
