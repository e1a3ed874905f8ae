// What a running command has at hand, and what every command does the same way: print a result in both forms,
// wait for a job. Lives for one command.
#pragma once

#include "cli/console.h"
#include "cli/management.h"
#include "model/json.h"

namespace understudy::cli {

struct Session {
  Console& console;
  Waiter& waiter;
  Management* management;  // null for local commands
  bool json = false;
  bool wait = true;
  int verdict = 0;       // the exit code of a command that did what it should
  bool printed = false;  // the result is out: with --json there is one document, and an error adds none

  Management& host() const;
  // `text` for people, or the object for --json.
  void print(const std::string& text, const JsonObject& object);
  void say(const std::string& text) const;  // a line for people only
};

// What Msvm_ConcreteJob and Understudy_ConcreteJobDetail say of one job.
struct JobView {
  cim::Instance job;
  cim::Instance detail;
  bool finished() const;
  std::optional<Error> error() const;
};
Result<JobView> find_job(Management& management, const Uuid& id);
JsonObject to_json(const JobView& view);

// Calls the method, waits for its job when the session waits, and prints `done` (or that the job goes on).
Status run_method(Session& session, const cim::ObjectPath& path, const std::string& method,
                  const cim::Instance& parameters, const std::string& done);
// Work that a method of the service starts and that goes on as a job of its own, in the background.
struct Work {
  uint64_t job_type;      // Msvm_ConcreteJob.JobType
  const char* json_name;  // of its job in the output
  std::string title;      // "The first copy of 'db'"
};
// As run_method(), and waits for the work too.
Status run_with_work(Session& session, const cim::Instance& status, const std::string& method,
                     const cim::Instance& parameters, const Work& work);
// Waits to the job's end, with progress; its failure is the error. Interrupted: says that the job goes on.
Result<JobView> wait_for_job(Session& session, const Uuid& id);

// Refuses, naming the host to go to, unless the session's host is that side of the VM. `what` ("a failover
// starts") there by `command`.
Status require_primary(Session& session, const cim::Instance& status, const std::string& what,
                       const std::string& command);
Status require_replica(Session& session, const cim::Instance& status, const std::string& what,
                       const std::string& command);
// Asks, unless --yes is given. ErrorCode::cancelled after a no, invalid_parameter with nobody to ask.
Status confirm(Session& session, const Arguments& arguments, const std::string& question);

}  // namespace understudy::cli
