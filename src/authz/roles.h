// What a caller may do, as three steps that include each other; on the whole host, or on single VMs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace understudy::authz {

enum class Role : uint8_t {
  reader,         // sees everything, changes nothing
  operator_,      // also runs what a relationship offers: fail over, revert, commit, test, pause
  administrator,  // everything
};

std::string_view role_name(Role role);  // "reader", "operator", "administrator"
Result<Role> parse_role(std::string_view name);

inline constexpr size_t kMostVmRoles = 256;

// Of one caller. Nobody has none: that is refused when it is read.
struct Roles {
  Roles() = default;
  Roles(Role role) : everywhere(role) {}  // NOLINT: a role is the roles of who has it everywhere
  std::optional<Role> everywhere;
  std::map<Uuid, Role> vms;  // beside it, on these
  bool operator==(const Roles&) const = default;
};
// "operator"; "reader,operator@UUID"; "operator@UUID,operator@UUID": without white space, each VM once.
Result<Roles> parse_roles(std::string_view text);
std::string text_of(const Roles& roles);

}  // namespace understudy::authz
