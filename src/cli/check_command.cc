// Would the failover work?
#include <algorithm>

#include "cim/embedded.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "model/states.h"
#include "wsman/xml.h"

namespace understudy::cli {
namespace {

constexpr int kWarnings = 7;  // exit codes
constexpr int kCritical = 8;

struct Checked {
  std::string name;
  std::vector<cim::Instance> findings;
};

Result<Checked> check_vm(Management& management, const cim::Instance& status) {
  Checked checked{cell(status, "ElementName"), {}};
  US_TRY(const cim::InvokeResult result,
         management.invoke(own_service_path(), "CheckReplication",
                           cim::Instance("INPUT").set("ComputerSystem", vm_path(status))));
  if (result.error) return fail(*result.error);
  if (const auto* texts = result.out.get("Findings").array())
    for (const auto& text : *texts)
      if (const auto* one = std::get_if<std::string>(&text)) {
        US_TRY(cim::Instance finding,
               cim::parse_embedded([](std::string_view xml) { return wsman::parse_xml(xml); }, *one,
                                   "Understudy_Finding"));
        checked.findings.push_back(std::move(finding));
      }
  return checked;
}

std::string level_word(uint64_t level) {
  if (level == static_cast<uint64_t>(ReplicationHealth::critical)) return "CRITICAL";
  return level == static_cast<uint64_t>(ReplicationHealth::warning) ? "warning" : "ok";
}

std::string text_of(const Checked& checked) {
  std::string text = printable(checked.name) + ":\n";
  for (const cim::Instance& finding : checked.findings) {
    std::string level = level_word(number(finding, "Health"));
    level.resize(10, ' ');
    text += "  " + level + printable(cell(finding, "Host")) + ": " + printable(cell(finding, "Cause")) + "\n";
    if (const std::string next = cell(finding, "Next"); !next.empty() && number(finding, "Health") > 1)
      text += "            next: " + printable(next) + "\n";
  }
  return text;
}

}  // namespace

Status check(Session& session, const Arguments& arguments) {
  std::vector<cim::Instance> vms;
  if (arguments.count() == 0) {
    US_TRY(vms, session.host().enumerate("Understudy_ReplicationStatus"));
    std::erase_if(vms, [](const cim::Instance& vm) { return number(vm, "ReplicationMode") == 0; });
  } else {
    US_TRY(cim::Instance status, find_vm(session.host(), arguments.argument(0)));
    vms.push_back(std::move(status));
  }
  uint64_t worst = static_cast<uint64_t>(ReplicationHealth::ok);
  std::string text;
  std::vector<JsonObject> objects;
  for (const cim::Instance& vm : vms) {
    US_TRY(const Checked checked, check_vm(session.host(), vm));
    for (const cim::Instance& finding : checked.findings) worst = std::max(worst, number(finding, "Health"));
    text += (text.empty() ? "" : "\n") + text_of(checked);
    JsonObject object;
    object.set("vm", checked.name);
    object.set("findings", to_json(checked.findings));
    objects.push_back(std::move(object));
  }
  if (vms.empty()) text = "No VM is replicated on " + session.host().server() + ".\n";
  JsonObject object;
  object.set("worst", lower_case(level_word(worst)));
  object.set("vms", objects);
  session.print(text, object);
  if (worst > static_cast<uint64_t>(ReplicationHealth::ok))
    session.verdict = worst == static_cast<uint64_t>(ReplicationHealth::warning) ? kWarnings : kCritical;
  return {};
}

}  // namespace understudy::cli
