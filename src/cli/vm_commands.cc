// Power of VMs.
#include "cli/commands.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

Status request_state(Session& session, const std::string& vm, unsigned state, const std::string& done) {
  US_TRY(const cim::Instance status, find_vm(session.host(), vm));
  return run_method(session, vm_path(status), "RequestStateChange",
                    cim::Instance("INPUT").set("RequestedState", state),
                    "'" + cell(status, "ElementName") + "' " + done);
}

}  // namespace

Status vm_start(Session& session, const Arguments& arguments) {
  return request_state(session, arguments.argument(0), 2, "is started.");
}
Status vm_stop(Session& session, const Arguments& arguments) {
  return request_state(session, arguments.argument(0), 3, "is off.");
}

}  // namespace understudy::cli
