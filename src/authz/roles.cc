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

Result<Roles> parse_roles(std::string_view text) {
  Roles roles;
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorCode::invalid_parameter,
                "'" + std::string(text.substr(0, 80)) + "' are no roles: " + why,
                "use reader, operator or administrator, or operator@UUID for one VM; several with commas");
  };
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    const std::string_view one = rest.substr(0, comma);
    const size_t at = one.find('@');
    const auto role = parse_role(one.substr(0, at));
    if (!role) return refuse("'" + std::string(one.substr(0, 40)) + "'");
    if (at == std::string_view::npos) {
      if (roles.everywhere) return refuse("two for the whole host");
      roles.everywhere = *role;
    } else {
      const auto vm = Uuid::parse(one.substr(at + 1));
      if (!vm) return refuse("'" + std::string(one.substr(0, 60)) + "' names no UUID");
      if (!roles.vms.emplace(*vm, *role).second) return refuse("two for one VM");
      if (roles.vms.size() > kMostVmRoles) return refuse("too many VMs");
    }
    if (comma == std::string_view::npos) return roles;
    rest.remove_prefix(comma + 1);
  }
}

std::string text_of(const Roles& roles) {
  std::string text(roles.everywhere ? role_name(*roles.everywhere) : "");
  for (const auto& [vm, role] : roles.vms)
    text += (text.empty() ? "" : ",") + std::string(role_name(role)) + "@" + vm.lower();
  return text;
}

}  // namespace understudy::authz
