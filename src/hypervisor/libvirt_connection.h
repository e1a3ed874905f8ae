// The connection to libvirt, for this folder only: the one header with libvirt's types. It opens itself again
// when libvirtd was restarted, and hears libvirt's events on the event loop's thread.
//
// Threads: "libvirt-events" runs the event loop, one for the process, as long as any connection lives;
// "libvirt-connect" opens and closes the connection. Any thread may call. Stop order: the destructor stops
// "libvirt-connect", which takes the callbacks back and closes; then the last connection stops the loop.
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/thread.h"
#include "core/ports/hypervisor.h"

namespace understudy::hypervisor {

template <class T, int (*kFree)(T*)>
struct LibvirtFree {
  void operator()(T* object) const { kFree(object); }
};
using DomainRef = std::unique_ptr<virDomain, LibvirtFree<virDomain, virDomainFree>>;
using CheckpointRef =
    std::unique_ptr<virDomainCheckpoint, LibvirtFree<virDomainCheckpoint, virDomainCheckpointFree>>;
using NetworkRef = std::unique_ptr<virNetwork, LibvirtFree<virNetwork, virNetworkFree>>;
using ConnectionRef = std::shared_ptr<virConnect>;  // in use: stays valid, though its calls may fail

struct TextFree {
  void operator()(char* text) const { ::free(text); }
};
using LibvirtText = std::unique_ptr<char, TextFree>;  // what libvirt returns for the caller to free

// The error of this thread's last libvirt call, in our codes, libvirt's text kept: "what: text".
Error libvirt_error(std::string_view what);
Error libvirt_error(std::string_view what, const virError* error);

class EventLoop;
struct ConnectionShared;

class LibvirtConnection {
 public:
  using Handler = std::function<void(const Uuid&, core::VmEvent)>;

  // `scratch_prefix`: a block threshold of a file whose path starts so is scratch_full.
  LibvirtConnection(std::string uri, std::string scratch_prefix);
  ~LibvirtConnection();
  LibvirtConnection(const LibvirtConnection&) = delete;
  LibvirtConnection& operator=(const LibvirtConnection&) = delete;

  // Set once, before the first get(), which is what opens the connection. Called on the event loop's thread;
  // after a lost connection also on "libvirt-connect", which then tells the state of every VM again.
  void on_event(Handler handler);

  // The open connection; not_available when libvirt does not let us in within limits::kHypervisorCall.
  Result<ConnectionRef> get();

  // Counts events and lost connections. `wait_change` returns when the count is not `seen` any more, false
  // when the deadline has passed.
  uint64_t changes() const;
  bool wait_change(uint64_t seen, Monotonic deadline) const;

 private:
  void run();
  Result<ConnectionRef> open();
  void close(ConnectionRef connection);
  void tell_all(virConnect* connection);

  const std::string uri_;
  std::shared_ptr<EventLoop> loop_;
  std::shared_ptr<ConnectionShared> shared_;  // outlives us in callbacks that libvirt frees late
  std::vector<int> callbacks_;                // of the open connection; "libvirt-connect" only
  Thread thread_;
};

}  // namespace understudy::hypervisor
