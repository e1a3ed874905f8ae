#include "source/backup_source.h"

#include "model/extent_math.h"
#include "source/disk_stream.h"

namespace understudy::source {
namespace {

constexpr size_t kConnections = 2;  // to the disk that is being read

Result<std::unique_ptr<NbdConnection>> connect(const BackupDisk& disk, const CancelToken& cancel) {
  auto connection = NbdConnection::open(disk.address.socket, disk.address.name, disk.address.context, cancel);
  if (!connection) return fail(connection.error().context("disk " + disk.geometry.target));
  const uint64_t size = (*connection)->size();
  if (size == disk.geometry.size) return connection;
  return fail(ErrorCode::invalid_state,
              "disk " + disk.geometry.target + " has " + std::to_string(size) + " bytes, not " +
                  std::to_string(disk.geometry.size) + " as when its replication was enabled",
              "remove the replication and enable it again");
}

class BackupSource final : public transfer::Source {
 public:
  BackupSource(std::vector<BackupDisk> disks, uint32_t granule)
      : disks_(std::move(disks)), granule_(granule) {}

  uint32_t granule() const override { return granule_; }

  Result<uint64_t> bytes_to_send(Cursor from) override {
    uint64_t bytes = 0;
    for (uint32_t disk = from.disk; disk < disks_.size(); ++disk) {
      if (complete(disk, from)) continue;
      US_TRY(const uint64_t of_disk, count(disk, start(disk, from)));
      bytes += of_disk;
    }
    return bytes;
  }

  Status stream(Cursor from, uint64_t most_in_flight,
                const std::function<Status(transfer::ExtentData)>& deliver,
                const CancelToken& cancel) override {
    for (uint32_t disk = from.disk; disk < disks_.size(); ++disk) {
      if (complete(disk, from)) continue;
      std::vector<std::unique_ptr<NbdConnection>> connections;
      for (size_t i = 0; i < kConnections; ++i) {
        US_TRY(std::unique_ptr<NbdConnection> connection, connect(disks_[disk], cancel));
        connections.push_back(std::move(connection));
      }
      DiskStream one(std::move(connections), disk, disks_[disk].geometry.target, start(disk, from), granule_,
                     most_in_flight, cancel);
      US_CHECK(one.run(deliver));
    }
    return {};
  }

 private:
  uint64_t start(uint32_t disk, Cursor from) const {
    return disk == from.disk ? align_down(from.offset, granule_) : 0;
  }
  // A disk may end within a granule: its last one does not come again.
  bool complete(uint32_t disk, Cursor from) const {
    return disk == from.disk && from.offset >= disks_[disk].geometry.size;
  }

  Result<uint64_t> count(uint32_t disk, uint64_t from) const {
    const CancelToken never;
    US_TRY(const std::unique_ptr<NbdConnection> connection, connect(disks_[disk], never));
    uint64_t bytes = 0;
    ExtentMerger merger(disk, from, connection->size(), granule_,
                        [&](const Extent& e) { bytes += e.zero ? 0 : e.length; });
    StatusAnswer answer;
    while (merger.position() < connection->size()) {
      US_CHECK(connection->status(merger.position(), connection->size() - merger.position(), answer));
      while (!answer.pending.done) US_CHECK(NbdConnection::wait({connection.get()}, kNbdStall, never));
      if (Status status = answer.feed(merger); !status)
        return fail(status.error().context("disk " + disks_[disk].geometry.target));
    }
    return bytes;
  }

  const std::vector<BackupDisk> disks_;
  const uint32_t granule_;
};

}  // namespace

Result<std::unique_ptr<transfer::Source>> open_backup_source(std::vector<BackupDisk> disks,
                                                             uint32_t granule) {
  if (granule < limits::kLeastGranule || granule > limits::kGranule) {
    return fail(ErrorCode::invalid_parameter,
                "a granule of " + std::to_string(granule) + " bytes is not possible");
  }
  for (const BackupDisk& disk : disks) {
    if (auto connection = connect(disk, CancelToken()); !connection) return fail(connection.error());
  }
  return std::make_unique<BackupSource>(std::move(disks), granule);
}

}  // namespace understudy::source
