// Who changed what, from where, and what came of it: a line of JSON before each call of a method that changes
// something begins, and one when it is answered, which is the only one of a call that was refused. The file
// is only ever added to, and taken anew for every line, so that it may be moved away. Any thread.
#pragma once

#include <mutex>
#include <string>

#include "base/time.h"
#include "cim/object_manager.h"

namespace understudy::daemon {

class AuditTrail {
 public:
  // `clock` outlives this.
  AuditTrail(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}
  // On disk when it returns. A line that cannot be written goes to the log as an error: whoever fails a VM
  // over has a disk that is full before anything else.
  void note(const cim::Called& called);

 private:
  Status append(const std::string& line);
  const std::string path_;
  const Clock& clock_;
  std::mutex mutex_;  // lines do not mix
};

}  // namespace understudy::daemon
