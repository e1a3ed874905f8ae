// Running replication: pause, resume, resynchronize.
#include "cli/commands.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

// RequestedState of RequestReplicationStateChange.
constexpr unsigned kReplicating = 3;
constexpr unsigned kSuspend = 7;
constexpr unsigned kCancelResync = 9;
constexpr uint64_t kResynchronize = 107;  // Msvm_ConcreteJob.JobType

Status change_state(Session& session, const cim::Instance& status, unsigned state, const std::string& done) {
  return run_method(session, vm_path(status), "RequestReplicationStateChange",
                    cim::Instance("INPUT").set("RequestedState", state), done);
}

}  // namespace

Status pause(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  return change_state(session, status, kSuspend,
                      "Replication of '" + name +
                          "' is paused: no new recovery points come. Next: understudy resume " + name);
}

Status resume(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  return change_state(session, status, kReplicating,
                      "Replication of '" + cell(status, "ElementName") + "' goes on.");
}

Status resync(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  US_CHECK(require_primary(session, status, "a resynchronization starts", "resync"));
  if (arguments.has("cancel"))
    return change_state(
        session, status, kCancelResync,
        "The resynchronization of '" + name + "' is cancelled. Next: understudy resync " + name);
  return run_with_work(session, status, "Resynchronize",
                       cim::Instance("INPUT").set("ComputerSystem", vm_path(status)),
                       {kResynchronize, "resynchronization", "The resynchronization of '" + name + "'"});
}

}  // namespace understudy::cli
