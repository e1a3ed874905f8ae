// Recovery points: what there is, and one more on demand.
#include "cli/commands.h"
#include "cli/points.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr unsigned kStandard = 1;
constexpr unsigned kApplicationConsistent = 2;

std::string none_text(const cim::Instance& status) {
  const std::string name = cell(status, "ElementName");
  switch (status.get("ReplicationMode").number().value_or(0)) {
    case 0:
      return "'" + name + "' is not replicated here.";
    case 1:
      return "The recovery points of '" + name + "' are on " + cell(status, "ReplicaHost") +
             ". There: understudy point list " + name;
    default:
      return "'" + name + "' has no recovery point yet.";
  }
}

}  // namespace

Status point_list(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  US_TRY(const auto points, points_of(session.host(), status));
  JsonObject object;
  object.set("points", to_json(points));
  session.print(points.empty() ? printable(none_text(status)) + "\n" : points_table(points), object);
  return {};
}

Status point_create(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  US_CHECK(require_primary(session, status, "a recovery point is made", "point create"));
  const std::string name = cell(status, "ElementName");
  const bool consistent = arguments.has("application-consistent");
  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status)).set("PointType", consistent ? kApplicationConsistent : kStandard);
  return run_method(session, own_service_path(), "CreateRecoveryPoint", in,
                    "'" + name + "' has a new " + (consistent ? "application-consistent " : "") +
                        "recovery point on " + cell(status, "ReplicaHost") +
                        ". There: understudy point list " + name);
}

}  // namespace understudy::cli
