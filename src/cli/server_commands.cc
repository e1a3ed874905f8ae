// What a host allows: the replication service and who may send.
#include <algorithm>

#include "cim/embedded.h"
#include "cli/commands.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

cim::Instance with_embedded(const char* parameter, const cim::Instance& instance) {
  return cim::Instance("INPUT").set(parameter, cim::format_embedded(instance));
}

Result<std::vector<cim::Instance>> entries_of(Management& management) {
  return management.enumerate("Msvm_ReplicationAuthorizationSettingData");
}

Table entry_table(const std::vector<cim::Instance>& entries) {
  Table table({"PRIMARY", "STORAGE", "TRUST GROUP"});
  for (const cim::Instance& e : entries)
    table.add(
        {cell(e, "AllowedPrimaryHostSystem"), cell(e, "ReplicaStorageLocation"), cell(e, "TrustGroup")});
  return table;
}

// Replicas that this primary has sent.
Result<std::vector<cim::Instance>> replicas_from(Management& management, const std::string& primary) {
  US_TRY(auto replicas,
         management.enumerate("SELECT * FROM Understudy_ReplicationStatus WHERE ReplicationMode = 2"));
  std::erase_if(replicas,
                [&](const cim::Instance& r) { return !cim::same_name(cell(r, "PrimaryHost"), primary); });
  return replicas;
}

// An entry for more than one host that this one is among.
bool still_admits(const std::string& entry, const std::string& host) {
  const size_t dot = host.find('.');
  return entry == "*" || (entry.starts_with("*.") && dot != std::string::npos &&
                          cim::same_name(entry.substr(1), host.substr(dot)));
}

constexpr const char* kNobody =
    "No primary host may send replicas here. Next: understudy authorize PRIMARY --storage DIR\n";

}  // namespace

Status server_enable(Session& session, const Arguments& arguments) {
  cim::Instance settings("Msvm_ReplicationServiceSettingData");
  settings.set("RecoveryServerEnabled", true).set("AllowedAuthenticationType", 2U);
  if (arguments.has("port")) {
    US_TRY(const uint64_t port, arguments.number("port", 1, 65535));
    settings.set("HttpsPort", port);
  }
  if (arguments.has("certificate")) settings.set("CertificateThumbPrint", arguments.text("certificate"));
  US_CHECK(run_method(session, service_path(), "ModifyServiceSettings",
                      with_embedded("SettingData", settings), "This host receives replicas."));
  US_TRY(const auto entries, entries_of(session.host()));
  if (entries.empty()) session.say(kNobody);
  return {};
}

Status server_show(Session& session, const Arguments&) {
  Management& host = session.host();
  US_TRY(const cim::Instance service, only(host, "Msvm_ReplicationService", "the replication service"));
  US_TRY(const cim::Instance s, only(host, "Msvm_ReplicationServiceSettingData", "the service's settings"));
  US_TRY(const auto entries, entries_of(host));
  const bool enabled = s.get("RecoveryServerEnabled").boolean().value_or(false);
  Fields fields;
  fields.add("host", cell(service, "SystemName"));
  fields.add("receives replicas", enabled ? "yes" : "no (understudy server enable)");
  if (enabled) fields.add("port", cell(s, "HttpsPort"));
  fields.add("certificate", cell(s, "CertificateThumbPrint"));
  const auto* words = service.get("StatusDescriptions").array();
  if (words && !words->empty())
    if (const auto* text = std::get_if<std::string>(&words->front())) fields.add("listener", *text);
  JsonObject object;
  object.set("service", to_json(service));
  object.set("settings", to_json(s));
  object.set("authorizations", to_json(entries));
  const Table table = entry_table(entries);
  session.print(fields.text() + "\n" + (table.empty() ? kNobody : table.text()), object);
  return {};
}

// Who is authorized already keeps what is not named.
Status authorize(Session& session, const Arguments& arguments) {
  const std::string& primary = arguments.argument(0);
  US_TRY(const auto entries, entries_of(session.host()));
  const auto known = std::ranges::find_if(entries, [&](const cim::Instance& entry) {
    return cim::same_name(cell(entry, "AllowedPrimaryHostSystem"), primary);
  });
  const bool there = known != entries.end();
  if (!there && !arguments.has("storage"))
    return fail(ErrorCode::invalid_parameter, "'understudy authorize' needs --storage DIR",
                "understudy authorize --help");
  cim::Instance entry("Msvm_ReplicationAuthorizationSettingData");
  entry.set("AllowedPrimaryHostSystem", primary);
  if (arguments.has("storage")) entry.set("ReplicaStorageLocation", arguments.text("storage"));
  if (arguments.has("trust-group")) entry.set("TrustGroup", arguments.text("trust-group"));
  const std::string storage =
      arguments.has("storage") ? arguments.text("storage") : cell(*known, "ReplicaStorageLocation");
  return run_method(session, service_path(), there ? "ModifyAuthorizationEntry" : "AddAuthorizationEntry",
                    with_embedded("AuthorizationEntry", entry),
                    "'" + primary + "' may send replicas to " + storage + ".");
}

Status unauthorize(Session& session, const Arguments& arguments) {
  const std::string& primary = arguments.argument(0);
  cim::Instance in("INPUT");
  in.set("AllowedPrimaryHostSystem", primary);
  US_CHECK(call(session.host(), service_path(), "RemoveAuthorizationEntry", in));
  US_TRY(const auto entries, entries_of(session.host()));
  US_TRY(const auto replicas, replicas_from(session.host(), primary));
  std::string text =
      printable("'" + primary + "' is not authorized any more: nothing more is taken from it.") + "\n";
  for (const cim::Instance& entry : entries)
    if (still_admits(cell(entry, "AllowedPrimaryHostSystem"), primary))
      text = printable("The entry '" + primary + "' is removed, but '" +
                       cell(entry, "AllowedPrimaryHostSystem") + "' still admits that host.") +
             "\n";
  for (const cim::Instance& replica : replicas)
    text += printable("The replica of '" + cell(replica, "ElementName") + "' stays in " +
                      cell(replica, "ReplicaDirectory") + ", with all its recovery points.") +
            "\n";
  JsonObject object;
  object.set("authorizations", to_json(entries));
  object.set("replicas", to_json(replicas));
  session.print(text, object);
  return {};
}

Status authorizations(Session& session, const Arguments&) {
  US_TRY(const auto entries, entries_of(session.host()));
  JsonObject object;
  object.set("authorizations", to_json(entries));
  const Table table = entry_table(entries);
  session.print(table.empty() ? kNobody : table.text(), object);
  return {};
}

}  // namespace understudy::cli
