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

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view known) {
    return std::equal(known.begin(), known.end(), name.begin(), name.end(),
                      [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
  });
}

}  // namespace

Status permit(Role role, bool is_read, std::string_view class_name, std::string_view method) {
  Role needed = Role::administrator;
  if (is_read || contains(kReaderMethods, method))
    needed = Role::reader;
  else if (contains(kOperatorMethods, method))
    needed = Role::operator_;
  if (role >= needed) return {};
  return fail(ErrorCode::access_denied,
              std::string(class_name) + "." + std::string(method) + " needs the role " +
                  std::string(role_name(needed)) + ", the caller is " + std::string(role_name(role)),
              "have an administrator do it, or give the caller the role: understudy user add NAME --role " +
                  std::string(role_name(needed)));
}

}  // namespace understudy::authz
