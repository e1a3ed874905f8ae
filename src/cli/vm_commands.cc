// Power of VMs.
#include <ostream>

#include "cli/commands.h"
#include "cli/failover.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr unsigned kOn = 2;
constexpr unsigned kOff = 3;

Status request_state(Session& session, const cim::Instance& status, unsigned state, const std::string& done) {
  return run_method(session, vm_path(status), "RequestStateChange",
                    cim::Instance("INPUT").set("RequestedState", state),
                    "'" + cell(status, "ElementName") + "' " + done);
}

}  // namespace

Status start_vm(Session& session, const cim::Instance& status) {
  US_TRY(const auto job, call(session.host(), vm_path(status), "RequestStateChange",
                              cim::Instance("INPUT").set("RequestedState", kOn)));
  if (job) {
    US_CHECK(wait_for_job(session, *job));
  }
  return {};
}

Status vm_start(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  return request_state(session, status, kOn, "is started.");
}
Status vm_stop(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  session.console.err << printable("What '" + name +
                                   "' has not written to its disks yet is lost. In good order it stops by: "
                                   "virsh shutdown " +
                                   name)
                      << std::endl;
  US_CHECK(confirm(session, arguments, "Turn '" + name + "' off at once?"));
  return request_state(session, status, kOff, "is off.");
}

}  // namespace understudy::cli
