#include "authz/policy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string>

namespace understudy::authz {
namespace {

// Methods that only tell. Everything that is in neither list is the administrator's.
constexpr std::array<std::string_view, 7> kReaderMethods{"FormatError",
                                                         "GetError",
                                                         "GetErrorEx",
                                                         "GetReplicationStatistics",
                                                         "GetReplicationStatisticsEx",
                                                         "GetSummaryInformation",
                                                         "GetSystemCertificates"};

constexpr std::array<std::string_view, 16> kOperatorMethods{"CommitFailover",
                                                            "CreateRecoveryPoint",
                                                            "InitiateFailback",
                                                            "InitiateFailover",
                                                            "KillJob",
                                                            "RequestReplicationStateChange",
                                                            "RequestReplicationStateChangeEx",
                                                            "RequestStateChange",
                                                            "ResetReplicationStatistics",
                                                            "ResetReplicationStatisticsEx",
                                                            "Resynchronize",
                                                            "ReverseReplicationRelationship",
                                                            "RevertFailover",
                                                            "SetFailoverNetworkAdapterSettings",
                                                            "TestReplicaSystem",
                                                            "TestReplicationConnection"};

// Methods that act on the VM that their target or a parameter names, and on nothing else: a role on that VM
// is enough for them.
constexpr std::array<std::string_view, 25> kVmMethods{"CommitFailover",
                                                      "CreateRecoveryPoint",
                                                      "CreateReplicationRelationship",
                                                      "GetError",
                                                      "GetErrorEx",
                                                      "GetReplicationStatistics",
                                                      "GetReplicationStatisticsEx",
                                                      "GetSummaryInformation",
                                                      "InitiateFailback",
                                                      "InitiateFailover",
                                                      "KillJob",
                                                      "ModifyReplicationSettings",
                                                      "RemoveReplicationRelationship",
                                                      "RemoveReplicationRelationshipEx",
                                                      "RequestReplicationStateChange",
                                                      "RequestReplicationStateChangeEx",
                                                      "RequestStateChange",
                                                      "ResetReplicationStatistics",
                                                      "ResetReplicationStatisticsEx",
                                                      "Resynchronize",
                                                      "ReverseReplicationRelationship",
                                                      "RevertFailover",
                                                      "SetFailoverNetworkAdapterSettings",
                                                      "StartReplication",
                                                      "TestReplicaSystem"};
// Of these classes nothing is shown to who has a role on single VMs only: they tell of others.
constexpr std::array<std::string_view, 3> kHostClasses{"Msvm_ReplicationAuthorizationSettingData",
                                                       "Msvm_ReplicationServiceSettingData",
                                                       "Msvm_ServiceAffectsElement"};

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view known) {
    return std::equal(known.begin(), known.end(), name.begin(), name.end(),
                      [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
  });
}

}  // namespace

Result<Reach> permit(const Roles& roles, bool is_read, std::string_view class_name, std::string_view method) {
  Role needed = Role::administrator;
  if (is_read || contains(kReaderMethods, method))
    needed = Role::reader;
  else if (contains(kOperatorMethods, method))
    needed = Role::operator_;
  Reach reach;
  reach.everywhere = roles.everywhere && *roles.everywhere >= needed;
  if (is_read || contains(kVmMethods, method))
    for (const auto& [vm, role] : roles.vms)
      if (role >= needed) reach.vms.insert(vm);
  reach.host_objects = reach.everywhere || (is_read && !contains(kHostClasses, class_name));
  if (reach.everywhere || !reach.vms.empty()) return reach;
  return fail(ErrorCode::access_denied,
              std::string(class_name) + "." + std::string(method) + " needs the role " +
                  std::string(role_name(needed)) + ", the caller is " + text_of(roles),
              "have an administrator do it, or give the caller the role: understudy user add NAME --role " +
                  std::string(role_name(needed)));
}

}  // namespace understudy::authz
