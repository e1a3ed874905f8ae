#include "daemon/quotas.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace understudy::daemon {
namespace {

// Of its files, as they lie on the disk. One that goes meanwhile takes up nothing.
uint64_t taken_up(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(directory.c_str()), &closedir);
  if (!folder) return 0;
  constexpr uint64_t kBlock = 512;
  uint64_t bytes = 0;
  while (const dirent* entry = readdir(folder.get())) {
    struct stat file {};
    if (fstatat(dirfd(folder.get()), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(file.st_mode))
      bytes += static_cast<uint64_t>(file.st_blocks) * kBlock;
  }
  return bytes;
}

tl::unexpected<Error> used_up(const std::string& entry, uint64_t most) {
  return fail(
      ErrorCode::no_space,
      "no space is left in the quota of '" + entry + "', " + std::to_string(most) + " bytes",
      "on the replica host: raise it under [replication.quotas] in understudyd.toml, or remove a replica of "
      "that host: understudy remove VM");
}

class Bounded final : public transfer::Sink {
 public:
  Bounded(std::shared_ptr<transfer::Sink> sink, std::string entry, uint64_t most, uint64_t left)
      : sink_(std::move(sink)), entry_(std::move(entry)), most_(most), left_(left) {}
  Status write(uint32_t disk, uint64_t offset, ByteView data) override {
    if (data.size() > left_) return used_up(entry_, most_);
    left_ -= data.size();
    return sink_->write(disk, offset, data);
  }
  Status zero(uint32_t disk, uint64_t offset, uint64_t length) override {
    return sink_->zero(disk, offset, length);
  }
  Status advance(Cursor cursor) override { return sink_->advance(cursor); }
  Status complete(Cursor end) override { return sink_->complete(end); }

 private:
  const std::shared_ptr<transfer::Sink> sink_;
  const std::string entry_;
  const uint64_t most_;
  uint64_t left_;
};

}  // namespace

Result<std::shared_ptr<transfer::Sink>> Quotas::within(const AuthorizationEntry& entry,
                                                       std::shared_ptr<transfer::Sink> sink) const {
  const auto quota = most_.find(entry.allowed_primary_host_system);
  if (quota == most_.end()) return sink;
  uint64_t used = 0;
  for (const Kept& kept : replicas_())
    if (const auto of = registry_.entry_for({kept.primary}); of && *of == entry)
      used += taken_up(kept.directory);
  if (used >= quota->second) return used_up(quota->first, quota->second);
  return std::make_shared<Bounded>(std::move(sink), quota->first, quota->second, quota->second - used);
}

}  // namespace understudy::daemon
