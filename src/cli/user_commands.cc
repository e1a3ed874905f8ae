// The password file of this host. No daemon is needed.
#include "authz/password_file.h"
#include "cli/commands.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr const char* kUserFile = "/etc/understudy/users";

}  // namespace

Status user_add(Session& session, const Arguments& arguments) {
  if (!arguments.has("role"))
    return fail(ErrorCode::invalid_parameter, "'understudy user add' needs --role ROLE",
                "understudy user add --help");
  US_TRY(const authz::Roles roles, authz::parse_roles(arguments.text("role")));
  const std::string& name = arguments.argument(0);
  const std::string file = arguments.text("file", kUserFile);
  US_TRY(const std::string password, session.console.ask_password("Password for " + printable(name) + ": "));
  if (session.console.interactive) {
    US_TRY(const std::string again, session.console.ask_password("Once more: "));
    if (again != password)
      return fail(ErrorCode::invalid_parameter, "the two passwords differ: nothing was changed");
  }
  US_CHECK(authz::set_user(file, name, roles, password));
  JsonObject object;
  object.set("user", name);
  object.set("role", authz::text_of(roles));
  object.set("file", file);
  session.print("'" + printable(name) + "' may log in as " + authz::text_of(roles) + " (" + file + ").\n",
                object);
  return {};
}

}  // namespace understudy::cli
