#include "daemon/audit_trail.h"

#include <fcntl.h>
#include <unistd.h>

#include "authz/policy.h"
#include "base/log.h"
#include "model/json.h"
#include "net/socket.h"

namespace understudy::daemon {
namespace {

bool only_tells(const cim::Called& called) {
  return authz::permit(authz::Role::reader, false, called.class_name, called.method).has_value();
}

}  // namespace

void AuditTrail::note(const cim::Called& called) {
  if (only_tells(called)) return;
  JsonObject line;
  line.set("call", called.call.lower());
  line.set("stage", called.result ? "answered" : "begins");
  line.set("time", iso_time(clock_.now().wall));
  line.set("caller", called.caller.name);
  line.set("login", called.caller.method);
  line.set("from", called.caller.from);
  line.set("role", called.caller.role);
  line.set("class", called.class_name);
  line.set("method", called.method);
  line.set("objects", called.objects);
  if (const cim::InvokeResult* result = called.result) {
    line.set("return", result->return_value);
    if (result->error) line.set("error", result->error->text());
    if (const auto job = result->out.get("Job").path()) line.set("job", job->text());
    if (!result->remark.empty()) line.set("remark", result->remark);
  }
  if (const Status written = append(line.text() + "\n"); !written)
    log_error("audit", "a line could not be written",
              {{"error", written.error().text()}, {"line", line.text()}});
}

Status AuditTrail::append(const std::string& line) {
  const std::lock_guard lock(mutex_);
  const net::Fd file(open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!file || write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fdatasync(file.get()) != 0)
    return fail_errno(errno, "writing " + path_);
  return {};
}

}  // namespace understudy::daemon
