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

  Management& host() const;
  // `text` for people, or the object for --json.
  void print(const std::string& text, const JsonObject& object) const;
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
// Waits to the job's end, with progress; its failure is the error. Interrupted: says that the job goes on.
Result<JobView> wait_for_job(Session& session, const Uuid& id);

}  // namespace understudy::cli
