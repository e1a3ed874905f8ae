#include "daemon/outgoing_host.h"

#include "base/pack.h"
#include "ipc/setup.h"

namespace understudy::daemon {

Status OutgoingHost::start() {
  const std::lock_guard lock(mutex_);
  if (process_) return {};
  ipc::Setup setup{UNDERSTUDY_VERSION, log_debug_, log_json_, {}};
  ipc::HelperProcess::Options options;
  options.program = "understudy-link";
  options.user = "understudy-link";
  options.root = root_;
  options.setup = pack(setup);
  US_TRY(process_, ipc::HelperProcess::start(std::move(options)));
  return {};
}

Status OutgoingHost::give(ByteView outgoing, int connection, int lane) {
  US_CHECK(start());
  return process_->give(outgoing, {connection, lane});
}

}  // namespace understudy::daemon
