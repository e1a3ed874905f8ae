#include "source/nbd_connection.h"

#include <libnbd.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace understudy::source {
namespace {

constexpr char kAllocation[] = "base:allocation";
constexpr uint32_t kZero = 2;     // NBD_STATE_ZERO of base:allocation
constexpr uint32_t kChanged = 1;  // of a dirty bitmap
constexpr Duration kConnect = Duration::seconds(10);

int complete(void* pending, int* error) {
  static_cast<Pending*>(pending)->error = *error;
  static_cast<Pending*>(pending)->done = true;
  return 1;  // libnbd forgets the command
}

}  // namespace

Result<std::unique_ptr<NbdConnection>> NbdConnection::open(const std::string& socket, const std::string& name,
                                                           const std::string& changes,
                                                           const CancelToken& cancel) {
  std::unique_ptr<NbdConnection> connection(new NbdConnection);
  connection->name_ = name;
  connection->changes_ = changes;
  connection->handle_ = nbd_create();
  if (connection->handle_ == nullptr) return fail(connection->error("connecting"));
  US_CHECK(connection->negotiate(socket, name, cancel));
  return connection;
}

NbdConnection::~NbdConnection() {
  nbd_close(handle_);
}

Error NbdConnection::error(const std::string& what) const {
  const char* text = nbd_get_error();
  return Error(ErrorCode::not_available,
               "NBD export " + name_ + ": " + what + ": " + (text == nullptr ? "unknown error" : text));
}

Status NbdConnection::negotiate(const std::string& socket, const std::string& name,
                                const CancelToken& cancel) {
  bool good = nbd_set_export_name(handle_, name.c_str()) == 0 &&
              nbd_add_meta_context(handle_, kAllocation) == 0 &&
              nbd_set_pread_initialize(handle_, false) == 0;
  if (good && !changes_.empty()) good = nbd_add_meta_context(handle_, changes_.c_str()) == 0;
  if (!good || nbd_aio_connect_unix(handle_, socket.c_str()) != 0)
    return fail(error("connecting to " + socket));
  while (nbd_aio_is_connecting(handle_) == 1) {
    if (Status status = wait({this}, kConnect, cancel); !status)
      return fail(status.error().context("connecting to " + socket));
  }
  if (nbd_aio_is_ready(handle_) != 1) return fail(error("connecting to " + socket));
  const int64_t size = nbd_get_size(handle_);
  if (size < 0) return fail(error("asking its size"));
  size_ = static_cast<uint64_t>(size);
  if (nbd_can_meta_context(handle_, kAllocation) != 1)
    return fail(ErrorCode::protocol, "NBD export " + name + " does not tell where it is zero");
  if (!changes_.empty() && nbd_can_meta_context(handle_, changes_.c_str()) != 1)
    return fail(ErrorCode::protocol, "NBD export " + name + " does not tell what changed (" + changes_ + ")");
  return {};
}

Status NbdConnection::read(uint64_t offset, MutableByteView into, Pending& pending) {
  pending = {};
  const int64_t cookie =
      nbd_aio_pread(handle_, into.data(), into.size(), offset, {complete, &pending, nullptr}, 0);
  if (cookie < 0)
    return fail(error("reading " + std::to_string(into.size()) + " bytes at " + std::to_string(offset)));
  return {};
}

Status NbdConnection::status(uint64_t offset, uint64_t length, StatusAnswer& answer) {
  answer.pending = {};
  answer.allocation_.clear();
  answer.changes_.clear();
  answer.tracked_ = !changes_.empty();
  const auto extent = [](void* to, const char* context, uint64_t, uint32_t* entries, size_t count, int*) {
    StatusAnswer& a = *static_cast<StatusAnswer*>(to);
    auto& pieces = std::strcmp(context, kAllocation) == 0 ? a.allocation_ : a.changes_;
    for (size_t i = 0; i + 1 < count; i += 2) pieces.push_back({entries[i], entries[i + 1]});
    return 0;
  };
  const int64_t cookie =
      nbd_aio_block_status(handle_, std::min(length, kNbdStatusMost), offset, {extent, &answer, nullptr},
                           {complete, &answer.pending, nullptr}, 0);
  if (cookie < 0) return fail(error("asking what changed at " + std::to_string(offset)));
  return {};
}

// Cuts both answers at each other's borders, as far as both go.
Status StatusAnswer::feed(ExtentMerger& merger) const {
  const uint64_t start = merger.position();
  const std::string where = "asking what changed at " + std::to_string(start);
  if (pending.error != 0) return fail_errno(pending.error, where);
  uint64_t a_used = 0, c_used = 0;  // of the pieces at a and c
  for (size_t a = 0, c = 0; a < allocation_.size() && (!tracked_ || c < changes_.size());) {
    uint64_t length = allocation_[a].length - a_used;
    if (tracked_) length = std::min(length, changes_[c].length - c_used);
    merger.add(
        {length, !tracked_ || (changes_[c].flags & kChanged) != 0, (allocation_[a].flags & kZero) != 0});
    a_used += length;
    c_used += length;
    if (a_used == allocation_[a].length) ++a, a_used = 0;
    if (tracked_ && c_used == changes_[c].length) ++c, c_used = 0;
  }
  if (merger.position() == start) return fail(ErrorCode::protocol, where + ": QEMU did not say");
  return {};
}

Status NbdConnection::wait(const std::vector<NbdConnection*>& connections, Duration most,
                           const CancelToken& cancel) {
  std::vector<pollfd> fds{{cancel.fd(), POLLIN, 0}};
  for (const NbdConnection* c : connections) {
    const unsigned direction = nbd_aio_get_direction(c->handle_);
    const int events = ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? POLLIN : 0) |
                       ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? POLLOUT : 0);
    fds.push_back({nbd_aio_get_fd(c->handle_), static_cast<short>(events), 0});
  }
  const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(most.whole_millis()));
  if (ready < 0 && errno != EINTR) return fail_errno(errno, "waiting for NBD");
  US_CHECK(cancel.check());
  if (ready == 0 && most > Duration{})
    return fail(ErrorCode::timeout,
                "QEMU did not answer on NBD for " + std::to_string(most.whole_seconds()) + " s");
  for (size_t i = 0; ready > 0 && i < connections.size(); ++i) {
    const short events = fds[i + 1].revents;
    nbd_handle* const handle = connections[i]->handle_;
    const unsigned direction = nbd_aio_get_direction(handle);
    int moved = 0;
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && (direction & LIBNBD_AIO_DIRECTION_READ) != 0)
      moved = nbd_aio_notify_read(handle);
    else if ((events & (POLLOUT | POLLHUP | POLLERR)) != 0)
      moved = nbd_aio_notify_write(handle);
    if (moved != 0) return fail(connections[i]->error("the connection failed"));
    if (nbd_aio_is_dead(handle) == 1 || nbd_aio_is_closed(handle) == 1)
      return fail(ErrorCode::not_available, "NBD export " + connections[i]->name_ +
                                                ": QEMU closed the connection, the backup job has ended");
  }
  return {};
}

}  // namespace understudy::source
