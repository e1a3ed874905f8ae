// The one place that says which role may do what.
#pragma once

#include <string_view>

#include "authz/roles.h"

namespace understudy::authz {

// `is_read`: Get, Enumerate, Pull, Release; `method` is empty then. Otherwise a call of
// `class_name`.`method`, names without case. ErrorCode::access_denied names the role that would be enough.
Status permit(Role role, bool is_read, std::string_view class_name, std::string_view method);

}  // namespace understudy::authz
