#include "hypervisor/libvirt_connection.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"

namespace understudy::hypervisor {
namespace {

constexpr Duration kOpenAgain = Duration::seconds(1);
constexpr int kKeepaliveSeconds = 5;
constexpr unsigned kKeepaliveCount = 5;  // a libvirtd that hangs is given up within kHypervisorCall

std::chrono::microseconds chrono(Duration d) {
  return std::chrono::microseconds(d.us);
}

ErrorCode code_of(const virError& error) {
  static const std::map<int, ErrorCode> kCodes = {
      {VIR_ERR_NO_DOMAIN, ErrorCode::not_found},
      {VIR_ERR_NO_DOMAIN_CHECKPOINT, ErrorCode::not_found},
      {VIR_ERR_NO_DOMAIN_BACKUP, ErrorCode::not_found},
      {VIR_ERR_NO_NETWORK, ErrorCode::not_found},
      {VIR_ERR_CHECKPOINT_INCONSISTENT, ErrorCode::corrupt},
      {VIR_ERR_OPERATION_INVALID, ErrorCode::invalid_state},
      {VIR_ERR_HOOK_SCRIPT_FAILED, ErrorCode::invalid_state},
      {VIR_ERR_OPERATION_TIMEOUT, ErrorCode::timeout},
      {VIR_ERR_AGENT_UNRESPONSIVE, ErrorCode::timeout},
      {VIR_ERR_RESOURCE_BUSY, ErrorCode::in_use},
      {VIR_ERR_DOM_EXIST, ErrorCode::in_use},
      {VIR_ERR_AUTH_FAILED, ErrorCode::access_denied},
      {VIR_ERR_AUTH_CANCELLED, ErrorCode::access_denied},
      {VIR_ERR_AUTH_UNAVAILABLE, ErrorCode::access_denied},
      {VIR_ERR_ACCESS_DENIED, ErrorCode::access_denied},
      {VIR_ERR_OPERATION_DENIED, ErrorCode::access_denied},
      {VIR_ERR_NO_SUPPORT, ErrorCode::not_supported},
      {VIR_ERR_CONFIG_UNSUPPORTED, ErrorCode::not_supported},
      {VIR_ERR_OPERATION_UNSUPPORTED, ErrorCode::not_supported},
      {VIR_ERR_NO_MEMORY, ErrorCode::out_of_memory},
      {VIR_ERR_XML_ERROR, ErrorCode::invalid_parameter},
      {VIR_ERR_XML_DETAIL, ErrorCode::invalid_parameter},
      {VIR_ERR_XML_INVALID_SCHEMA, ErrorCode::invalid_parameter},
      {VIR_ERR_NO_CONNECT, ErrorCode::not_available},
      {VIR_ERR_INVALID_CONN, ErrorCode::not_available},
  };
  if (error.domain == VIR_FROM_RPC || error.domain == VIR_FROM_REMOTE) return ErrorCode::not_available;
  const auto found = kCodes.find(error.code);
  return found == kCodes.end() ? ErrorCode::failed : found->second;
}

Result<Uuid> id_of(virDomain* domain) {
  char text[VIR_UUID_STRING_BUFLEN];
  if (virDomainGetUUIDString(domain, text) != 0) return fail(libvirt_error("reading a UUID"));
  return Uuid::parse(text);
}

}  // namespace

Error libvirt_error(std::string_view what) {
  return libvirt_error(what, virGetLastError());
}

Error libvirt_error(std::string_view what, const virError* error) {
  if (error == nullptr || error->message == nullptr)
    return Error(ErrorCode::failed, std::string(what) + ": libvirt gave no reason");
  const std::string_view text = error->message;
  // Our own hook: the part of the text that is ours says it all.
  constexpr std::string_view kHeld = "Understudy holds this VM";
  if (const size_t at = text.find(kHeld); at != std::string_view::npos) {
    const size_t hint = text.find(". Use ", at);
    return Error(ErrorCode::invalid_state,
                 std::string(text.substr(at, std::min(hint, text.find('\n', at)) - at)),
                 "use a failover to start it here, or remove its replication");
  }
  const ErrorCode code = code_of(*error);
  const char* hint = code == ErrorCode::not_available   ? "is libvirtd running? systemctl status libvirtd"
                     : code == ErrorCode::access_denied ? "run as root or as a member of the group libvirt"
                                                        : "";
  return Error(code, std::string(what) + ": " + std::string(text), hint);
}

// libvirt's default event loop on its own thread. There is one in a process; the last connection ends it.
class EventLoop {
 public:
  static std::shared_ptr<EventLoop> shared() {
    static std::mutex mutex;
    static std::weak_ptr<EventLoop> current;
    static const bool registered = [] {
      virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});  // we log errors ourselves, where they matter
      return virInitialize() == 0 && virEventRegisterDefaultImpl() == 0;
    }();
    US_ASSERT(registered);
    const std::lock_guard lock(mutex);
    std::shared_ptr<EventLoop> loop = current.lock();
    if (loop == nullptr) current = loop = std::make_shared<EventLoop>();
    return loop;
  }

  EventLoop() : thread_("libvirt-events", [this] { run(); }) {}
  ~EventLoop() {
    // The timer fires once, in the loop's thread, and so wakes it.
    virEventAddTimeout(
        0,
        [](int timer, void* self) {
          virEventRemoveTimeout(timer);
          static_cast<EventLoop*>(self)->stop_ = true;
        },
        this, nullptr);
    thread_.join();
  }

 private:
  void run() {
    while (!stop_) {
      if (virEventRunDefaultImpl() == 0) continue;
      log_error("hypervisor", "libvirt's event loop has failed", {{"error", virGetLastErrorMessage()}});
      return;
    }
    virEventRunDefaultImpl();  // lets libvirt free what it keeps for the next turn
  }
  bool stop_ = false;  // the loop's thread only
  Thread thread_;
};

// What the callbacks see. libvirt may free a callback late, hence shared.
struct ConnectionShared {
  std::mutex mutex;
  std::condition_variable changed;
  LibvirtConnection::Handler handler;
  std::string scratch_prefix;
  ConnectionRef connection;  // open; null while it is not
  bool broken = false;       // the open connection is of no use any more
  bool wanted = false;       // somebody waits: open now
  bool stopping = false;
  uint64_t attempts = 0;  // that ended
  uint64_t changes = 0;
  std::optional<Error> error;  // of the last attempt

  void tell(virDomain* domain, core::VmEvent event) {
    if (const Result<Uuid> id = id_of(domain)) {
      if (handler) handler(*id, event);
    }
    count();
  }
  void count() {
    const std::lock_guard lock(mutex);
    ++changes;
    changed.notify_all();
  }
  void lose() {
    const std::lock_guard lock(mutex);
    broken = true;
    ++changes;
    changed.notify_all();
  }
};

namespace {

using SharedRef = std::shared_ptr<ConnectionShared>;

ConnectionShared& shared_of(void* opaque) {
  return **static_cast<SharedRef*>(opaque);
}
void free_shared(void* opaque) {
  delete static_cast<SharedRef*>(opaque);
}

std::optional<core::VmEvent> lifecycle_event(int event, int detail) {
  using core::VmEvent;
  switch (event) {
    case VIR_DOMAIN_EVENT_DEFINED:
      return VmEvent::defined;
    case VIR_DOMAIN_EVENT_UNDEFINED:
      return VmEvent::undefined;
    case VIR_DOMAIN_EVENT_STARTED:
      return VmEvent::started;
    case VIR_DOMAIN_EVENT_CRASHED:
      return VmEvent::crashed;
    case VIR_DOMAIN_EVENT_STOPPED:
      return detail == VIR_DOMAIN_EVENT_STOPPED_CRASHED || detail == VIR_DOMAIN_EVENT_STOPPED_FAILED
                 ? VmEvent::crashed
                 : VmEvent::stopped;
    case VIR_DOMAIN_EVENT_SUSPENDED:
      if (detail == VIR_DOMAIN_EVENT_SUSPENDED_IOERROR) return VmEvent::paused_io_error;
      return {};
    default:
      return {};
  }
}

bool is_backup_job(virTypedParameterPtr params, int count) {
  int operation = 0;
  return virTypedParamsGetInt(params, count, VIR_DOMAIN_JOB_OPERATION, &operation) == 1 &&
         operation == VIR_DOMAIN_JOB_OPERATION_BACKUP;
}

void on_close(virConnectPtr, int, void* opaque) {
  shared_of(opaque).lose();
}

void on_lifecycle(virConnectPtr, virDomainPtr domain, int event, int detail, void* opaque) {
  if (const auto news = lifecycle_event(event, detail))
    shared_of(opaque).tell(domain, *news);
  else
    shared_of(opaque).count();
}

void on_job_end(virConnectPtr, virDomainPtr domain, virTypedParameterPtr params, int count, void* opaque) {
  if (is_backup_job(params, count)) shared_of(opaque).tell(domain, core::VmEvent::job_ended);
}

void on_threshold(virConnectPtr, virDomainPtr domain, const char*, const char* path, unsigned long long,
                  unsigned long long, void* opaque) {
  const std::string& prefix = shared_of(opaque).scratch_prefix;
  if (path == nullptr || std::string_view(path).substr(0, prefix.size()) != prefix) return;
  shared_of(opaque).tell(domain, core::VmEvent::scratch_full);
}

struct Callback {
  int event;
  virConnectDomainEventGenericCallback function;
};
const Callback kCallbacks[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job_end)},
    {VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, VIR_DOMAIN_EVENT_CALLBACK(on_threshold)},
};

}  // namespace

LibvirtConnection::LibvirtConnection(std::string uri, std::string scratch_prefix)
    : uri_(std::move(uri)), loop_(EventLoop::shared()), shared_(std::make_shared<ConnectionShared>()) {
  shared_->scratch_prefix = std::move(scratch_prefix);
  thread_ = Thread("libvirt-connect", [this] { run(); });
}

LibvirtConnection::~LibvirtConnection() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    shared_->changed.notify_all();
  }
  thread_.join();
}

void LibvirtConnection::on_event(Handler handler) {
  shared_->handler = std::move(handler);
}

Result<ConnectionRef> LibvirtConnection::get() {
  std::unique_lock lock(shared_->mutex);
  if (shared_->connection != nullptr && !shared_->broken) return shared_->connection;
  const uint64_t attempts = shared_->attempts;
  shared_->wanted = true;
  shared_->changed.notify_all();
  const auto settled = [&] {
    return (shared_->connection != nullptr && !shared_->broken) || shared_->attempts != attempts;
  };
  shared_->changed.wait_for(lock, chrono(limits::kHypervisorCall), settled);
  if (shared_->connection != nullptr && !shared_->broken) return shared_->connection;
  if (shared_->attempts != attempts && shared_->error) return fail(*shared_->error);
  return fail(ErrorCode::not_available, "libvirt at " + uri_ + " does not answer",
              "systemctl restart libvirtd");
}

uint64_t LibvirtConnection::changes() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->changes;
}

bool LibvirtConnection::wait_change(uint64_t seen, Monotonic deadline) const {
  const Duration left = deadline - SystemClock().now().monotonic;
  std::unique_lock lock(shared_->mutex);
  return shared_->changed.wait_for(lock, chrono(std::max(left, Duration{})),
                                   [&] { return shared_->changes != seen; });
}

void LibvirtConnection::run() {
  bool first = true;
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return shared_->stopping || shared_->wanted; });
  while (!shared_->stopping) {
    if (shared_->broken) {
      ConnectionRef old = std::move(shared_->connection);
      shared_->connection.reset();
      shared_->broken = false;
      lock.unlock();
      log_warning("hypervisor", "the connection to libvirt is lost", {{"uri", uri_}});
      close(std::move(old));
      lock.lock();
    } else if (shared_->connection != nullptr) {
      shared_->changed.wait(lock, [&] { return shared_->stopping || shared_->broken; });
    } else {
      shared_->wanted = false;
      lock.unlock();
      Result<ConnectionRef> opened = open();
      lock.lock();
      ++shared_->attempts;
      ++shared_->changes;
      if (opened) shared_->connection = *opened;
      shared_->error = opened ? std::nullopt : std::optional(opened.error());
      shared_->changed.notify_all();
      if (opened) {
        lock.unlock();
        if (!first) tell_all(opened->get());
        first = false;
        lock.lock();
      } else {
        shared_->changed.wait_for(lock, chrono(kOpenAgain),
                                  [&] { return shared_->stopping || shared_->wanted; });
      }
    }
  }
  ConnectionRef last = std::move(shared_->connection);
  shared_->connection.reset();
  lock.unlock();
  close(std::move(last));
}

Result<ConnectionRef> LibvirtConnection::open() {
  virConnect* const raw = virConnectOpen(uri_.c_str());
  if (raw == nullptr) return fail(libvirt_error("connecting to libvirt at " + uri_));
  ConnectionRef connection(raw, [](virConnect* c) { virConnectClose(c); });
  virConnectSetKeepAlive(raw, kKeepaliveSeconds, kKeepaliveCount);
  auto opaque = std::make_unique<SharedRef>(shared_);
  if (virConnectRegisterCloseCallback(raw, on_close, opaque.get(), free_shared) != 0) {
    return fail(libvirt_error("listening to libvirt"));
  }
  static_cast<void>(opaque.release());  // libvirt frees it
  for (const Callback& callback : kCallbacks) {
    opaque = std::make_unique<SharedRef>(shared_);
    const int number = virConnectDomainEventRegisterAny(raw, nullptr, callback.event, callback.function,
                                                        opaque.get(), free_shared);
    if (number < 0) {
      const Error error = libvirt_error("listening to libvirt");
      close(std::move(connection));
      return fail(error);
    }
    static_cast<void>(opaque.release());
    callbacks_.push_back(number);
  }
  return connection;
}

void LibvirtConnection::close(ConnectionRef connection) {
  if (connection == nullptr) return;
  for (const int number : callbacks_) virConnectDomainEventDeregisterAny(connection.get(), number);
  callbacks_.clear();
  virConnectUnregisterCloseCallback(connection.get(), on_close);
}

// What happened while nobody listened is not known: every VM's state is news.
void LibvirtConnection::tell_all(virConnect* connection) {
  virDomain** domains = nullptr;
  const int count = virConnectListAllDomains(connection, &domains, 0);
  for (int i = 0; i < count; ++i) {
    const DomainRef domain(domains[i]);
    shared_->tell(domain.get(),
                  virDomainIsActive(domain.get()) == 1 ? core::VmEvent::started : core::VmEvent::stopped);
  }
  ::free(domains);
}

}  // namespace understudy::hypervisor
