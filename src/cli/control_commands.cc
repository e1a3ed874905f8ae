// Running replication: pause, resume, resynchronize.
#include <ostream>

#include "cli/commands.h"
#include "cli/points.h"
#include "cli/text.h"
#include "model/states.h"

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

// What stays where, and what may start.
std::string consequence(const cim::Instance& status, const std::string& name) {
  if (number(status, "ReplicationMode") == static_cast<uint64_t>(ReplicationMode::primary))
    return "'" + name +
           "' is not replicated any more; the VM and its disks stay as they are, running or off. Its replica "
           "on " +
           cell(status, "ReplicaHost") + " stays as well, until it is removed there." +
           (cell(status, "Phase") == "halted" ? " If it is held because that replica was failed over, it may "
                                                "start again: two copies may run then."
                                              : "");
  const std::string folder = cell(status, "ReplicaDirectory");
  if (number(status, "RecoveryPoints") == 0)
    return "The replica of '" + name + "' holds no recovery point: its VM here and its files in " + folder +
           " are removed.";
  const bool over = !status.get("FailoverRanSeconds").null();
  return "'" + name + "' becomes an ordinary VM of this host, " +
         (over ? std::string("as it is since its failover")
               : "off, as of its newest recovery point (" +
                     age_text(
                         Duration::seconds(static_cast<int64_t>(number(status, "RecoveryPointAgeSeconds")))) +
                     " old)") +
         ". Its disks stay in " + folder + "; the other recovery points end, and " +
         cell(status, "PrimaryHost") + " may not send any more.";
}

}  // namespace

Status remove(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  if (number(status, "ReplicationMode") == 0)
    return fail(ErrorCode::invalid_state, "VM '" + name + "' is not replicated on " + session.host().server(),
                "understudy list");
  session.console.err << printable(consequence(status, name)) << std::endl;
  US_CHECK(confirm(session, arguments, "Remove the replication of '" + name + "' on this host?"));
  return run_method(session, service_path(), "RemoveReplicationRelationship",
                    cim::Instance("INPUT").set("ComputerSystem", vm_path(status)),
                    "The replication of '" + name + "' is removed on this host.");
}

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
