// What a caller may do, as three steps that include each other.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace understudy::authz {

enum class Role : uint8_t {
  reader,         // sees everything, changes nothing
  operator_,      // also runs what a relationship offers: fail over, revert, commit, test, pause
  administrator,  // everything
};

std::string_view role_name(Role role);  // "reader", "operator", "administrator"
Result<Role> parse_role(std::string_view name);

}  // namespace understudy::authz
