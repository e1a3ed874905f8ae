// Msvm_ReplicationService, and what Understudy_ReplicationService adds to it.
#include <algorithm>
#include <functional>
#include <map>

#include "base/base64.h"
#include "base/limits.h"
#include "cim/embedded.h"
#include "cim/schema.h"
#include "providers/instances.h"
#include "providers/methods.h"
#include "providers/paths.h"
#include "providers/settings.h"

namespace understudy::providers {
namespace {

constexpr Duration kMostStartDelay = Duration::seconds(7 * 24 * 3600);
constexpr uint64_t kStandard = 1;
constexpr uint64_t kApplicationConsistent = 2;

tl::unexpected<Error> invalid(std::string what, std::string hint = {}) {
  return fail(ErrorCode::invalid_parameter, std::move(what), std::move(hint));
}

Result<cim::InvokeResult> done(const Status& status) {
  if (!status) return fail(status.error());
  return cim::InvokeResult{};
}

Result<cim::InvokeResult> modify_service_settings(const Call& call) {
  US_TRY(const cim::Instance given, embedded(call, "SettingData"));
  US_TRY(const ServiceSettings settings, service_settings_from(given, call.host.service_settings()));
  return done(call.host.modify_service_settings(settings));
}

Result<cim::InvokeResult> add_authorization_entry(const Call& call) {
  US_TRY(const cim::Instance given, embedded(call, "AuthorizationEntry"));
  US_TRY(const AuthorizationEntry entry, authorization_entry_from(given, {}));
  return done(call.host.add_authorization_entry(entry));
}

// The entry that the given one changes.
Result<AuthorizationEntry> known_entry(const Call& call, const cim::Instance& given) {
  const std::string name = given.get("AllowedPrimaryHostSystem").text().value_or("");
  for (const AuthorizationEntry& known : call.host.authorization_entries())
    if (cim::same_name(known.allowed_primary_host_system, name)) return known;
  return invalid("no authorization entry is for '" + name.substr(0, 256) + "'", "understudy authorizations");
}

Result<cim::InvokeResult> modify_authorization_entry(const Call& call) {
  US_TRY(const cim::Instance given, embedded(call, "AuthorizationEntry"));
  US_TRY(AuthorizationEntry known, known_entry(call, given));
  US_TRY(const AuthorizationEntry entry, authorization_entry_from(given, std::move(known)));
  return done(call.host.modify_authorization_entry(entry));
}

Result<cim::InvokeResult> remove_authorization_entry(const Call& call) {
  const std::string name = call.parameters.get("AllowedPrimaryHostSystem").text().value_or("");
  if (name.empty()) return invalid("AllowedPrimaryHostSystem is missing", "understudy authorizations");
  return done(call.host.remove_authorization_entry(name));
}

Status check_provider(const Call& call, const cim::Instance& given) {
  const std::string text = given.get("ReplicationProvider").text().value_or("");
  if (text.empty()) return {};
  const auto path = cim::ObjectPath::parse(text);
  if (path && path->same(provider_path(call.host.name()))) return {};
  return fail(ErrorCode::not_supported, "ReplicationProvider '" + text.substr(0, 128) + "' is not known",
              "leave it out to use the built-in provider");
}

Result<cim::InvokeResult> create_relationship(const Call& call) {
  US_TRY(const cim::Instance given, embedded(call, "ReplicationSettingData"));
  US_TRY(ReplicationSettings settings, replication_settings_from(given, {}, call.host));
  US_TRY(const Uuid vm, vm_argument(call));
  US_CHECK(check_provider(call, given));
  US_TRY(const VmView view, view_of(call, vm));
  US_TRY(settings.included_disks, included_disks_from(given, view, call.parse_xml));
  return answer(call.host.create_relationship(vm, settings));
}

// What belongs to the relationship itself may be sent back as it was read, and not changed.
Status check_unchanged(const Call& call, const cim::Instance& given, const VmView& view) {
  Instances shown;
  replication_settings(call.host, view, shown);
  for (const char* name : {"InstanceID", "VirtualSystemIdentifier", "RecoveryHostSystem", "PrimaryHostSystem",
                           "PrimaryConnectionPoint", "RootCertificateThumbPrint"}) {
    const std::string wanted = given.get(name).text().value_or("");
    const std::string has = shown.front().get(name).text().value_or("");
    if (wanted.empty() || cim::same_name(wanted, has)) continue;
    return invalid(
        std::string(name) + " is '" + has + "' and cannot be changed to '" + wanted.substr(0, 128) + "'",
        "leave it out, or send it as it was read");
  }
  return {};
}

Status check_disks(const Call& call, const cim::Instance& given, const VmView& view) {
  VmView any = view;  // also a disk that is not replicated can be named
  any.state.disks.clear();
  any.state.definition.disks.clear();
  US_TRY(const std::vector<std::string> wanted, included_disks_from(given, any, call.parse_xml));
  const std::vector<DiskGeometry>& has = view.state.disks;
  const bool same = wanted.size() == has.size() && std::ranges::all_of(has, [&](const DiskGeometry& disk) {
                      return std::ranges::find(wanted, disk.target) != wanted.end();
                    });
  if (wanted.empty() || same) return {};
  const std::string& name = view.vm.name;
  return fail(
      ErrorCode::not_supported, "IncludedDisks cannot be changed while VM '" + name + "' is replicated",
      "understudy remove " + name + " on both hosts, then understudy enable " + name + " --disks LIST");
}

Result<cim::InvokeResult> modify_relationship(const Call& call) {
  US_TRY(const cim::Instance given, embedded(call, "ReplicationSettingData"));
  US_TRY(const Uuid vm, vm_argument(call));
  US_TRY(const VmView view, view_of(call, vm));
  const ReplicationSettings& before = view.state.settings;
  ReplicationSettings settings = before;
  if (core::mode_of(view.state) == ReplicationMode::primary) {  // else the state is what is wrong
    US_TRY(settings, replication_settings_from(given, before, call.host));
    US_CHECK(check_provider(call, given));
    US_CHECK(check_unchanged(call, given, view));
    US_CHECK(check_disks(call, given, view));
  }
  return answer(call.host.modify_relationship(vm, before, settings));
}

// The StartTime of a method: none when it is now, which is what NULL and the past mean.
Result<std::optional<Wall>> start_time_argument(const Call& call) {
  const auto start = call.parameters.get("StartTime").datetime();
  const Wall now = call.host.now();
  if (!start) return std::optional<Wall>();
  if (start->interval || Wall{start->us} > now + kMostStartDelay)
    return invalid("StartTime is no instant within the next seven days");
  return Wall{start->us} > now ? std::optional(Wall{start->us}) : std::nullopt;
}

Result<cim::InvokeResult> start_replication(const Call& call) {
  const auto type = call.parameters.get("InitialReplicationType").number();
  if (!type || *type < 1 || *type > 3)
    return invalid(type ? "InitialReplicationType is " + std::to_string(*type) + ": 1, 2 and 3 are known"
                        : std::string("InitialReplicationType is missing"));
  US_TRY(const std::optional<Wall> start, start_time_argument(call));
  US_TRY(const Uuid vm, vm_argument(call));
  if (*type != 1)
    return fail(ErrorCode::not_supported,
                "InitialReplicationType " + std::to_string(*type) + " is not supported by this version",
                "use 1: the first copy goes over the network");
  if (start)
    return fail(ErrorCode::not_supported, "a later StartTime is not supported by this version",
                "leave it out: the first copy starts now");
  US_TRY(const VmView view, view_of(call, vm));
  return answer(call.host.start_replication(view.vm.id));
}

// NULL is the latest point.
Result<std::optional<Uuid>> point_argument(const Call& call, const VmView& view) {
  const cim::Value& value = call.parameters.get("SnapshotSettingData");
  if (value.null()) return std::optional<Uuid>();
  const auto path = value.path();
  const auto id = path ? path->keys.find("InstanceID") : decltype(path->keys.begin()){};
  // Its own class or one above it: other classes have keys of the same form.
  if (path && cim::is_a("Msvm_VirtualSystemSettingData", path->class_name) && id != path->keys.end())
    if (const auto guid = settings_guid(id->second))
      if (view.unreadable || std::ranges::find(view.points, *guid, &RecoveryPoint::id) != view.points.end())
        return std::optional(*guid);
  return invalid("SnapshotSettingData is no recovery point of VM '" + view.vm.name + "'",
                 "understudy point list " + view.vm.name);
}

Result<cim::InvokeResult> initiate_failover(const Call& call) {
  US_TRY(const Uuid vm, vm_argument(call));
  US_TRY(const VmView view, view_of(call, vm));
  US_TRY(const std::optional<Uuid> point, point_argument(call, view));
  Result<cim::InvokeResult> result = answer(call.host.initiate_failover(vm, point));
  if (result && view.primary.alive && view.primary.heard)
    result->remark =
        "the primary was heard " + age_text(*view.primary.heard) + " ago and may still run the VM";
  return result;
}

Result<cim::InvokeResult> revert_failover(const Call& call) {
  US_TRY(const Uuid vm, vm_argument(call));
  US_CHECK(view_of(call, vm));
  return answer(call.host.revert_failover(vm));
}

Result<cim::InvokeResult> remove_relationship(const Call& call) {
  US_TRY(const auto relationship, relationship_argument(call));
  US_TRY(const Uuid vm, vm_argument(call));
  US_CHECK(view_of(call, vm));
  US_CHECK(check_relationship(vm, relationship));
  return answer(call.host.remove_relationship(vm));
}

Result<cim::InvokeResult> resynchronize(const Call& call) {
  US_TRY(const std::optional<Wall> start, start_time_argument(call));
  US_TRY(const Uuid vm, vm_argument(call));
  US_CHECK(view_of(call, vm));
  return answer(call.host.resynchronize(vm, start));
}

Result<cim::InvokeResult> create_recovery_point(const Call& call) {
  const auto type = call.parameters.get("PointType").number();
  if (!type || (*type != kStandard && *type != kApplicationConsistent))
    return invalid(type ? "PointType is " + std::to_string(*type) +
                              ": 1 (standard) and 2 (application consistent) are known"
                        : std::string("PointType is missing"));
  US_TRY(const Uuid vm, vm_argument(call));
  US_CHECK(view_of(call, vm));
  return answer(call.host.create_point(vm, *type == kApplicationConsistent));
}

// The VM whose statistics are asked for: it is replicated.
Result<VmView> replicated_vm(const Call& call) {
  US_TRY(const std::optional<std::string> relationship, relationship_argument(call));
  US_TRY(const Uuid vm, vm_argument(call));
  US_CHECK(check_relationship(vm, relationship));
  US_TRY(VmView view, view_of(call, vm));
  if (core::mode_of(view.state) == ReplicationMode::none)
    return fail(ErrorCode::invalid_state, "VM '" + view.vm.name + "' is not replicated on this host",
                "understudy enable " + view.vm.name + " --to REPLICA-HOST");
  return view;
}

Result<cim::InvokeResult> get_statistics(const Call& call) {
  US_TRY(const VmView view, replicated_vm(call));
  cim::InvokeResult result;
  result.out.set("ReplicationStatistics",
                 array_of({cim::format_embedded(statistics_instance(call.host, view))}));
  std::vector<cim::Value::Scalar> issues;
  for (const cim::Instance& issue : health_issues(view)) issues.emplace_back(cim::format_embedded(issue));
  result.out.set("ReplicationHealthIssues", std::move(issues));
  return result;
}

Result<cim::InvokeResult> check_replication(const Call& call) {
  US_TRY(const Uuid vm, vm_argument(call));
  US_TRY(const VmView view, view_of(call, vm));
  US_TRY(const std::vector<HostFinding> all, call.host.check(vm));
  std::vector<cim::Value::Scalar> findings;
  for (const HostFinding& found : all)
    findings.emplace_back(cim::format_embedded(finding_instance(view, found)));
  cim::InvokeResult result;
  result.out.set("Findings", std::move(findings));
  return result;
}

Result<cim::InvokeResult> reset_statistics(const Call& call) {
  US_TRY(const VmView view, replicated_vm(call));
  return answer(call.host.reset_statistics(view.vm.id));
}

// NetworkSettings as text, before the VM is looked up.
Result<std::vector<cim::Instance>> network_settings_argument(const Call& call) {
  const auto* elements = call.parameters.get("NetworkSettings").array();
  if (!elements || elements->empty())
    return invalid("NetworkSettings is empty: give an element for each network card to set",
                   "DHCPEnabled FALSE with empty IPAddresses takes the settings of a card back");
  if (elements->size() > limits::kMostNics)
    return invalid("NetworkSettings has more than " + std::to_string(limits::kMostNics) + " elements");
  std::vector<cim::Instance> all;
  for (const cim::Value::Scalar& element : *elements) {
    const auto* text = std::get_if<std::string>(&element);
    auto given = cim::parse_embedded(call.parse_xml, text ? *text : std::string(),
                                     "Msvm_FailoverNetworkAdapterSettingData");
    if (!given) return fail(given.error().context("NetworkSettings"));
    all.push_back(std::move(*given));
  }
  return all;
}

Result<cim::InvokeResult> set_network(const Call& call) {
  US_TRY(const std::vector<cim::Instance> given, network_settings_argument(call));
  US_TRY(const Uuid vm, vm_argument(call));
  US_TRY(const VmView view, view_of(call, vm));
  auto cards = call.host.network_cards(vm);
  if (!cards && cards.error().code() == ErrorCode::not_found)
    return fail(ErrorCode::not_available, "VM '" + view.vm.name + "' is not defined on this host any more",
                "understudy show " + view.vm.name);
  if (!cards) return fail(cards.error());
  US_TRY(const std::vector<NicSettings> settings, network_settings_from(given, view, *cards));
  return answer(call.host.set_network(vm, settings));
}

Result<cim::InvokeResult> get_certificates(const Call& call) {
  std::vector<cim::Value::Scalar> encoded;
  for (const Bytes& der : call.host.certificates()) encoded.emplace_back(to_base64(der));
  cim::InvokeResult result;
  result.out.set("EncodedCertificates", std::move(encoded));
  return result;
}

Result<cim::InvokeResult> test_connection(const Call& call) {
  cim::Instance given("Msvm_ReplicationSettingData");
  for (const char* name :
       {"RecoveryConnectionPoint", "RecoveryServerPortNumber", "AuthenticationType", "CertificateThumbPrint"})
    given.set(name, call.parameters.get(name));
  US_TRY(const ReplicationSettings to, connection_from(given, call.host));
  return done(call.host.test_connection(to.recovery_connection_point, to.recovery_server_port));
}

Result<cim::InvokeResult> daemon_is_its_own(const Call& call) {
  return refused(1, Error(ErrorCode::not_supported,
                          std::string(call.method) + ": the service is started and stopped by the system",
                          "systemctl restart understudyd"));
}

using Table = std::map<std::string_view, Methods>;
Result<cim::InvokeResult> call_from(const Table& table, const Call& call) {
  const auto entry = table.find(call.method);
  return entry == table.end() ? not_supported(call) : entry->second(call);
}

}  // namespace

Result<cim::InvokeResult> service_methods(const Call& call) {
  static const Table table = {
      {"ModifyServiceSettings", modify_service_settings},
      {"AddAuthorizationEntry", add_authorization_entry},
      {"ModifyAuthorizationEntry", modify_authorization_entry},
      {"RemoveAuthorizationEntry", remove_authorization_entry},
      {"CreateReplicationRelationship", create_relationship},
      {"ModifyReplicationSettings", modify_relationship},
      {"RemoveReplicationRelationship", remove_relationship},
      {"RemoveReplicationRelationshipEx", remove_relationship},
      {"StartReplication", start_replication},
      {"InitiateFailover", initiate_failover},
      {"RevertFailover", revert_failover},
      {"Resynchronize", resynchronize},
      {"SetFailoverNetworkAdapterSettings", set_network},
      {"GetReplicationStatistics", get_statistics},
      {"GetReplicationStatisticsEx", get_statistics},
      {"ResetReplicationStatistics", reset_statistics},
      {"ResetReplicationStatisticsEx", reset_statistics},
      {"GetSystemCertificates", get_certificates},
      {"TestReplicationConnection", test_connection},
      {"RequestStateChange", daemon_is_its_own},
      {"StartService", daemon_is_its_own},
      {"StopService", daemon_is_its_own},
  };
  return call_from(table, call);
}

Result<cim::InvokeResult> own_service_methods(const Call& call) {
  static const Table table = {
      {"CheckReplication", check_replication},   {"CreateRecoveryPoint", create_recovery_point},
      {"RequestStateChange", daemon_is_its_own}, {"StartService", daemon_is_its_own},
      {"StopService", daemon_is_its_own},
  };
  return call_from(table, call);
}

}  // namespace understudy::providers
