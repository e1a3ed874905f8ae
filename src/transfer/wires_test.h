// Connections, a source and a sink for the tests of this folder.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <random>

#include "transfer/hash_blocks.h"
#include "transfer/peer.h"
#include "transfer/wire.h"

namespace understudy::transfer {

// Reads what it was given, keeps what is written.
class MemoryWire final : public Wire {
 public:
  explicit MemoryWire(Bytes input) : input_(std::move(input)) {}
  Result<size_t> read(MutableByteView into, Duration) override {
    const size_t n = std::min(into.size(), input_.size() - at_);
    std::copy_n(input_.begin() + static_cast<ptrdiff_t>(at_), n, into.begin());
    at_ += n;
    return n;
  }
  Status write(ByteView bytes, Duration) override {
    written.insert(written.end(), bytes.begin(), bytes.end());
    return {};
  }
  Status shutdown() override { return {}; }
  void interrupt() override {}
  Bytes written;

 private:
  Bytes input_;
  size_t at_ = 0;
};

// One end of a socket pair. `cut_after` bytes written (in all) the connection breaks in both directions.
class SocketWire final : public Wire {
 public:
  explicit SocketWire(int fd) : fd_(fd) { fcntl(fd, F_SETFL, O_NONBLOCK); }
  ~SocketWire() override { close(fd_); }
  static std::pair<std::unique_ptr<SocketWire>, std::unique_ptr<SocketWire>> pair() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return {std::make_unique<SocketWire>(fds[0]), std::make_unique<SocketWire>(fds[1])};
  }
  Result<size_t> read(MutableByteView into, Duration timeout) override {
    while (true) {
      const ssize_t n = recv(fd_, into.data(), into.size(), 0);
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EAGAIN) return fail(ErrorCode::not_available, "connection reset");
      US_CHECK(wait(POLLIN, timeout));
    }
  }
  Status write(ByteView bytes, Duration timeout) override {
    while (!bytes.empty()) {
      if (written == cut_after) {
        interrupt();
        return fail(ErrorCode::not_available, "cut");
      }
      const size_t most = std::min<size_t>(bytes.size(), cut_after - written);
      const ssize_t n = ::send(fd_, bytes.data(), most, MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return fail(ErrorCode::not_available, "connection reset");
      if (n < 0) {
        US_CHECK(wait(POLLOUT, timeout));
        continue;
      }
      if (record) record->insert(record->end(), bytes.begin(), bytes.begin() + n);
      bytes = bytes.subspan(static_cast<size_t>(n));
      written += static_cast<size_t>(n);
    }
    return {};
  }
  Status shutdown() override {
    ::shutdown(fd_, SHUT_WR);
    return {};
  }
  void interrupt() override { ::shutdown(fd_, SHUT_RDWR); }
  size_t cut_after = SIZE_MAX;
  Bytes* record = nullptr;  // gets what is written
  std::atomic<size_t> written = 0;

 private:
  Status wait(short events, Duration timeout) {
    pollfd fd{fd_, events, 0};
    if (poll(&fd, 1, static_cast<int>(timeout.whole_millis())) == 0)
      return fail(ErrorCode::timeout, "no answer in time");
    return {};
  }
  int fd_;
};

using Images = std::map<uint32_t, Bytes>;

inline Bytes random_bytes(size_t size, uint32_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (size_t at = 0; at + 8 <= size; at += 8) store_le<uint64_t>(bytes.data() + at, random());
  return bytes;
}
// What compresses: 64 different bytes in 4 KiB runs.
inline Bytes dull_bytes(size_t size, uint32_t seed) {
  Bytes bytes(size);
  for (size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>((at / 4096 * 7 + seed) & 63);
  return bytes;
}

// Yields listed extents of images held in memory.
class FakeSource final : public Source {
 public:
  FakeSource(Images disks, std::vector<Extent> extents)
      : images(std::move(disks)), list(std::move(extents)) {}
  uint32_t granule() const override { return 4096; }
  Result<uint64_t> bytes_to_send(Cursor from) override {
    uint64_t total = 0;
    for (const Extent& e : list)
      if (!e.zero) total += left_of(e, from).length;
    return total;
  }
  Status stream(Cursor from, uint64_t, const std::function<Status(ExtentData)>& deliver,
                const CancelToken& cancel) override {
    for (const Extent& listed : list) {
      const Extent e = left_of(listed, from);
      if (e.length == 0 && listed.length > 0) continue;
      US_CHECK(cancel.check());
      if (before) US_CHECK(before(e));
      ExtentData data{e, {}};
      if (!e.zero) {
        const auto begin = images[e.disk].begin() + static_cast<ptrdiff_t>(e.offset);
        data.data.assign(begin, begin + static_cast<ptrdiff_t>(e.length));
      }
      US_CHECK(deliver(std::move(data)));
    }
    return {};
  }
  Images images;
  std::vector<Extent> list;
  std::function<Status(const Extent&)> before;

 private:
  static Extent left_of(Extent e, Cursor from) {
    const bool here = e.disk == from.disk && e.offset < from.offset;
    const uint64_t before_it = e.disk < from.disk ? e.length
                               : here             ? std::min(e.length, from.offset - e.offset)
                                                  : 0;
    return {e.disk, e.offset + before_it, e.length - before_it, e.zero};
  }
};

// Images in memory. Every advance is remembered; nothing is ever lost.
class FakeSink final : public Sink {
 public:
  explicit FakeSink(Images disks) : images(std::move(disks)) {}
  Status write(uint32_t disk, uint64_t offset, ByteView data) override {
    if (before_write) US_CHECK(before_write());
    Bytes& image = images[disk];
    if (offset + data.size() > image.size()) return fail(ErrorCode::invalid_parameter, "beyond the end");
    std::copy(data.begin(), data.end(), image.begin() + static_cast<ptrdiff_t>(offset));
    received += data.size();
    return {};
  }
  Status zero(uint32_t disk, uint64_t offset, uint64_t length) override {
    Bytes& image = images[disk];
    if (offset > image.size() || length > image.size() - offset)
      return fail(ErrorCode::invalid_parameter, "beyond the end");
    std::fill_n(image.begin() + static_cast<ptrdiff_t>(offset), length, std::byte{0});
    return {};
  }
  Status advance(Cursor cursor) override {
    cursors.push_back(cursor);
    if (after_advance) after_advance(cursor);
    return {};
  }
  Status complete(Cursor end) override { return advance(end); }
  Images images;
  std::vector<Cursor> cursors;
  std::atomic<uint64_t> received = 0;
  std::function<Status()> before_write;
  std::function<void(Cursor)> after_advance;
};

// Reads images in memory; zeroes are found in pieces of 512 bytes.
class ImageReader final : public BlockReader {
 public:
  explicit ImageReader(const Images& images) : images_(images) {}
  std::vector<DiskGeometry> disks() const {
    std::vector<DiskGeometry> disks;
    for (const auto& [disk, bytes] : images_)
      disks.push_back({std::string("vd") + static_cast<char>('a' + disk), bytes.size()});
    return disks;
  }
  Result<Stretch> map(uint32_t disk, uint64_t offset, uint64_t most) override {
    const ByteView from = ByteView(images_.at(disk)).subspan(offset, most);
    const auto zero = [&](uint64_t at) {
      const ByteView sector = from.subspan(at, std::min<uint64_t>(512, most - at));
      return std::all_of(sector.begin(), sector.end(), [](std::byte b) { return b == std::byte{0}; });
    };
    Stretch stretch{zero(0), std::min<uint64_t>(512, most)};
    while (stretch.length < most && zero(stretch.length) == stretch.zero)
      stretch.length = std::min(stretch.length + 512, most);
    return stretch;
  }
  Status read(uint32_t disk, uint64_t offset, MutableByteView into) override {
    std::copy_n(images_.at(disk).begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  }

 private:
  const Images& images_;
};

// A replica host with one VM, whose store is a FakeSink that lives through connections.
class FakeService final : public PeerService {
 public:
  explicit FakeService(Images disks) : sink(std::make_shared<FakeSink>(std::move(disks))) {}
  Status admit(const PeerIdentity& peer) override {
    const std::lock_guard lock(mutex);
    admitted.push_back(peer);
    if (!admits)
      return fail(ErrorCode::access_denied, "no authorization entry admits '" + peer.common_name + "'",
                  "add one");
    return {};
  }
  Result<PrepareAnswer> prepare(const PeerIdentity&, const PrepareRequest& request) override {
    if (request.disks.empty()) return fail(ErrorCode::invalid_parameter, "no disks");
    return PrepareAnswer{"replica.example", {"network 'lan' is not mapped"}};
  }
  Result<Holdings> query(const PeerIdentity&, const QueryRequest& request) override {
    if (request.vm.nil()) return fail(ErrorCode::not_found, "no such VM", "look again");
    asked = request.settings;
    Holdings holdings;
    holdings.mode = ReplicationMode::replica;
    return holdings;
  }
  Result<Begun> begin(const PeerIdentity&, const BeginRequest&) override {
    ++begun;
    return Begun{sink->cursors.empty() ? Cursor{} : sink->cursors.back(), sink};
  }
  Result<RecoveryPoint> finish(const PeerIdentity&, const FinishRequest& request) override {
    RecoveryPoint point;
    point.id = request.point_id;
    point.lineage = request.key.lineage;
    point.cut = request.cut;
    point.bytes = sink->received;
    return point;
  }
  Status remove(const PeerIdentity&, const Uuid&) override { return {}; }
  Result<HashesAnswer> hashes(const PeerIdentity&, const HashesRequest& request) override {
    if (request.newest.sequence != 7) return fail(ErrorCode::invalid_state, "another point is the newest");
    ImageReader reader(sink->images);
    return hash_blocks(reader, reader.disks(), request);
  }

  std::mutex mutex;
  std::vector<PeerIdentity> admitted;
  std::optional<ReplicationSettings> asked;
  bool admits = true;
  std::atomic<int> begun = 0;
  std::shared_ptr<FakeSink> sink;
};

inline Hello test_hello(const std::string& host, uint32_t least = 1, uint32_t most = 1) {
  return {least, most, {"zstd"}, host, "0.1.0", Wall{1'795'371'548'000'000}};
}

// Something a thread waits for; the deadline only ends a test that has failed.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

}  // namespace understudy::transfer
