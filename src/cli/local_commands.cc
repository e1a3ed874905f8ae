// Files of this host: certificates and the password file. No daemon is needed.
#include "authz/password_file.h"
#include "authz/revoked.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "net/certificate.h"

namespace understudy::cli {
namespace {

constexpr const char* kUserFile = "/etc/understudy/users";
constexpr const char* kRevokedFile = "/etc/understudy/revoked";

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

void print(Session& session, const net::CertificateInfo& info, const std::string& next) {
  std::vector<std::string> names = info.dns_names;
  names.insert(names.end(), info.ip_names.begin(), info.ip_names.end());
  Fields fields;
  fields.add("subject", info.subject).add("issuer", info.issuer).add("names", joined(names));
  fields.add("authority", info.authority ? "yes" : "");
  fields.add("valid from", iso_time(info.not_before)).add("valid until", iso_time(info.not_after));
  fields.add("thumbprint", info.thumbprint);
  JsonObject object;
  object.set("subject", info.subject);
  object.set("issuer", info.issuer);
  object.set("names", names);
  object.set("authority", info.authority);
  object.set("not_before", iso_time(info.not_before));
  object.set("not_after", iso_time(info.not_after));
  object.set("thumbprint", info.thumbprint);
  session.print(fields.text() + (next.empty() ? "" : "\nNext: " + next + "\n"), object);
}

tl::unexpected<Error> missing(const std::string& command, const std::string& option) {
  return fail(ErrorCode::invalid_parameter, "'understudy " + command + "' needs --" + option,
              "understudy " + command + " --help");
}

}  // namespace

Status certificate_authority(Session& session, const Arguments& arguments) {
  const std::string& dir = arguments.argument(0);
  US_TRY(const auto info, net::create_authority(dir, arguments.text("name", "understudy-authority")));
  print(session, info, "understudy certificate host NAME --authority " + dir + " --out DIR");
  return {};
}

Status certificate_host(Session& session, const Arguments& arguments) {
  if (!arguments.has("authority")) return missing("certificate host", "authority DIR");
  if (!arguments.has("out")) return missing("certificate host", "out DIR");
  US_TRY(const auto names, comma_list("NAMES", arguments.argument(0)));
  const std::string out = arguments.text("out");
  US_TRY(const auto info, net::issue_certificate(arguments.text("authority"), names, out));
  print(session, info, "copy the files of " + out + " to /etc/understudy/tls on " + names.front());
  return {};
}

Status certificate_show(Session& session, const Arguments& arguments) {
  US_TRY(const auto info, net::load_certificate_info(arguments.argument(0)));
  print(session, info, "");
  return {};
}

Status certificate_revoke(Session& session, const Arguments& arguments) {
  std::string thumbprint = arguments.argument(0);
  std::string whose;
  if (thumbprint.find_first_of("/.") != std::string::npos) {
    US_TRY(const auto info, net::load_certificate_info(thumbprint));
    thumbprint = info.thumbprint;
    whose = info.common_name;
  }
  const std::string file = arguments.text("file", kRevokedFile);
  std::string remark = whose;
  if (const std::string reason = arguments.text("reason"); !reason.empty())
    remark += (remark.empty() ? "" : ": ") + reason;
  US_CHECK(authz::revoke(file, thumbprint, remark));
  JsonObject object;
  object.set("thumbprint", thumbprint);
  object.set("file", file);
  session.print("The certificate " + printable(whose.empty() ? thumbprint : "of " + whose) +
                    " is refused here from now on (" + file +
                    ").\nNext: the same on each other host that knows its authority\n",
                object);
  return {};
}

Status user_add(Session& session, const Arguments& arguments) {
  if (!arguments.has("role")) return missing("user add", "role ROLE");
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
