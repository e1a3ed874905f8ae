// One connection to an NBD export on a unix socket: asynchronous commands on libnbd. Used by one thread.
// Memory given to a command must live until the command is done or the connection is gone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/result.h"
#include "base/time.h"
#include "source/extent_merger.h"

struct nbd_handle;

namespace understudy::source {

inline constexpr Duration kNbdStall = Duration::seconds(60);  // nothing comes for so long: QEMU hangs
inline constexpr uint64_t kNbdStatusMost = 2ULL
                                           << 30;  // of one status command; its answer is bounded by QEMU

// A command on its way; the caller's, untouched until it is done.
struct Pending {
  bool done = false;
  int error = 0;  // errno
};

// What a status command finds, from its offset on; QEMU may cover less than was asked for, but something.
class StatusAnswer {
 public:
  Pending pending;
  // Gives what was found to the merger, which stands at the command's offset; or the command's error.
  Status feed(ExtentMerger& merger) const;

 private:
  friend class NbdConnection;
  struct Piece {
    uint64_t length;
    uint32_t flags;
  };
  std::vector<Piece> allocation_, changes_;
  bool tracked_ = false;  // what has changed is known; else everything counts as changed
};

class NbdConnection {
 public:
  // `changes`: metadata context of the dirty bitmap; empty: everything counts as changed.
  static Result<std::unique_ptr<NbdConnection>> open(const std::string& socket, const std::string& name,
                                                     const std::string& changes, const CancelToken& cancel);
  ~NbdConnection();
  NbdConnection(const NbdConnection&) = delete;
  NbdConnection& operator=(const NbdConnection&) = delete;

  uint64_t size() const { return size_; }
  Status read(uint64_t offset, MutableByteView into, Pending& pending);
  Status status(uint64_t offset, uint64_t length, StatusAnswer& answer);

  // Moves commands on: waits until one of the connections can, at most `most`, or for the cancel. `timeout`
  // when the time has passed and `most` was not zero.
  static Status wait(const std::vector<NbdConnection*>& connections, Duration most,
                     const CancelToken& cancel);

 private:
  NbdConnection() = default;
  Status negotiate(const std::string& socket, const std::string& name, const CancelToken& cancel);
  Error error(const std::string& what) const;

  nbd_handle* handle_ = nullptr;
  std::string name_;
  std::string changes_;
  uint64_t size_ = 0;
};

}  // namespace understudy::source
