// understudy-guard as the daemon sees it: a small program of its own that makes a frozen guest write again
// when the daemon cannot, because it was killed, was stopped or hangs. It is started before the freeze, has
// no descriptor but one socket to the daemon, and a connection to libvirt of its own. For this folder only.
//
// It thaws when the socket closes, or when a deadline passes: limits::kFrozenMost after it was told that the
// guest is frozen. A mark, a file that it keeps locked while it lives, tells later runs that a freeze of ours
// may be left over. One thread at a time.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "hypervisor/descriptor.h"

namespace understudy::hypervisor {

// Bytes on the socket. To the guard: the guest is frozen; it writes again. From it: it stands by, or an
// earlier guard is at work; it has not touched the guest, or it has thawed it.
enum class GuardWord : char {
  frozen = 'f',
  done = 'd',
  ready = 'r',
  busy = 'b',
  untouched = 'u',
  thawed = 't'
};

struct GuardTask {
  std::string program;  // empty: understudy-guard beside the running program
  std::string uri;
  Uuid vm;
  unsigned domain = 0;  // libvirt's id of the running domain: after a restart nothing is frozen any more
  std::string mark;     // path of the mark
};

class Guard {
 public:
  // Returns when it stands by; in_use when an earlier guard of the VM is still at work.
  static Result<Guard> start(const GuardTask& task);
  Guard(Guard&&) = default;

  void tell_frozen();
  // The guest writes again. False when the guard may have thawed it before.
  bool release();
  // Leaves the guest to the guard, which thaws at once and goes on trying. The destructor does the same.
  void abandon() { socket_.close(); }

 private:
  explicit Guard(Descriptor socket) : socket_(std::move(socket)) {}
  Descriptor socket_;
};

// The mark of a guard that is gone: the domain that it guarded. None when there is no mark or its guard
// lives.
std::optional<unsigned> left_over(const std::string& mark);

}  // namespace understudy::hypervisor
