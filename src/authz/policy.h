// The one place that says which role may do what.
#pragma once

#include <set>
#include <string_view>

#include "authz/roles.h"

namespace understudy::authz {

// Where a caller may do something.
struct Reach {
  bool everywhere = false;
  std::set<Uuid> vms;         // else: to these VMs,
  bool host_objects = false;  // and to what is no VM's
};

// `is_read`: Get, Enumerate, Pull, Release; `method` is empty then. Otherwise a call of
// `class_name`.`method`, names without case. ErrorCode::access_denied, when it is nowhere, names the role
// that would be enough.
Result<Reach> permit(const Roles& roles, bool is_read, std::string_view class_name, std::string_view method);

}  // namespace understudy::authz
