#include "authz/roles.h"

#include <string>

namespace understudy::authz {

std::string_view role_name(Role role) {
  switch (role) {
    case Role::reader:
      return "reader";
    case Role::operator_:
      return "operator";
    case Role::administrator:
      return "administrator";
  }
  return "unknown";
}

Result<Role> parse_role(std::string_view name) {
  for (const Role role : {Role::reader, Role::operator_, Role::administrator})
    if (name == role_name(role)) return role;
  return fail(ErrorCode::invalid_parameter, "'" + std::string(name.substr(0, 40)) + "' is not a role",
              "use reader, operator or administrator");
}

}  // namespace understudy::authz
