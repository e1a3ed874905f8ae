#include "providers/settings.h"

#include <algorithm>
#include <cctype>

#include "base/limits.h"
#include "cim/embedded.h"
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

constexpr uint16_t kCertificate = 2;
constexpr uint32_t kDay = 24 * 3600;
constexpr size_t kMostHostName = 256;
constexpr size_t kMostDirectory = 4096;
constexpr uint32_t kDefaultPort = 443;

tl::unexpected<Error> invalid(std::string_view property, const std::string& why, std::string hint = {}) {
  return fail(ErrorCode::invalid_parameter, std::string(property) + " " + why, std::move(hint));
}

// Reads what is given, within its range; the first value out of range makes the error.
class Reader {
 public:
  explicit Reader(const cim::Instance& given) : given_(given) {}

  void text(std::string_view name, std::string& value) {
    if (const auto v = given_.get(name).text()) value = *v;
  }
  void flag(std::string_view name, bool& value) {
    if (const auto v = given_.get(name).boolean()) value = *v;
  }
  template <class N>
  void number(std::string_view name, N& value, uint64_t least, uint64_t most) {
    const auto v = given_.get(name).number();
    if (!v) return;
    if (*v < least || *v > most)
      refuse(name, "is " + std::to_string(*v) + ": from " + std::to_string(least) + " to " +
                       std::to_string(most) + " is possible");
    else
      value = static_cast<N>(*v);
  }
  // Second of the day.
  void time_of_day(std::string_view name, uint32_t& value) {
    const auto v = given_.get(name).datetime();
    if (!v) return;
    if (!v->interval || v->us < 0 || v->us >= Duration::seconds(kDay).us)
      refuse(name, "is no time of day: write it as 00000000hhmmss.000000:000");
    else
      value = static_cast<uint32_t>(Duration{v->us}.whole_seconds());
  }
  void refuse(std::string_view name, const std::string& why) {
    if (status_) status_ = invalid(name, why);
  }
  const Status& status() const { return status_; }

 private:
  const cim::Instance& given_;
  Status status_;
};

// A DNS name or an address; never anything that could be read as a path, an option or an URL.
bool host_name_like(std::string_view text) {
  if (text.empty() || text.size() > kMostHostName || text.front() == '-' || text.front() == '.') return false;
  return std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':';
  });
}

Status check_authentication(uint64_t type) {
  if (type == kCertificate) return {};
  if (type == 1 || type == 3)
    return invalid(
        "AuthenticationType",
        "is " + std::to_string(type) +
            ": replication travels by TLS 1.3 between hosts that prove themselves by certificates; "
            "Kerberos (plain HTTP) is not offered",
        "use AuthenticationType 2 with the thumbprint of the host's certificate");
  return invalid("AuthenticationType", "is " + std::to_string(type) + ": 2 (certificate) is possible");
}

// One element of IncludedDisks: an InstanceID, an object path or an embedded instance.
Result<std::string> disk_instance_id(const std::string& element, const cim::XmlParser& parse_xml) {
  constexpr std::string_view kClass = "CIM_StorageAllocationSettingData";
  const size_t first = element.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && element[first] == '<') {
    US_TRY(const cim::Instance disk, cim::parse_embedded(parse_xml, element, kClass));
    return disk.get("InstanceID").text().value_or("");
  }
  if (element.find("StorageAllocationSettingData.") == std::string::npos) return element;
  const auto path = cim::ObjectPath::parse(element);
  const auto id = path ? path->keys.find("InstanceID") : decltype(path->keys.begin()){};
  if (!path || id == path->keys.end()) return invalid("IncludedDisks", "holds a malformed path: " + element);
  return id->second;
}

}  // namespace

Result<ReplicationSettings> replication_settings_from(const cim::Instance& given, ReplicationSettings s,
                                                      Host& host) {
  Reader read(given);
  read.text("RecoveryConnectionPoint", s.recovery_connection_point);
  read.text("CertificateThumbPrint", s.certificate_thumbprint);
  read.number("RecoveryServerPortNumber", s.recovery_server_port, 0, 65535);
  read.flag("CompressionEnabled", s.compression_enabled);
  read.flag("BypassProxyServer", s.bypass_proxy_server);
  read.flag("ReplicateHostKvpItems", s.replicate_host_kvp_items);
  read.number("ReplicationInterval", s.replication_interval, 30, 900);
  read.number("RecoveryHistory", s.recovery_history, 0, 24);
  read.number("ApplicationConsistentSnapshotInterval", s.application_consistent_interval, 0, 12);
  read.flag("AutoResynchronizeEnabled", s.auto_resynchronize_enabled);
  read.time_of_day("AutoResynchronizeIntervalStart", s.auto_resynchronize_start);
  read.time_of_day("AutoResynchronizeIntervalEnd", s.auto_resynchronize_end);
  US_CHECK(read.status());
  if (s.application_consistent_interval > s.recovery_history)
    return invalid("ApplicationConsistentSnapshotInterval",
                   "is " + std::to_string(s.application_consistent_interval) +
                       " hours and RecoveryHistory keeps points for " + std::to_string(s.recovery_history) +
                       ": no application-consistent point would be there when it is needed",
                   "give a RecoveryHistory of at least " + std::to_string(s.application_consistent_interval));
  if (s.recovery_connection_point.empty())
    return invalid("RecoveryConnectionPoint", "is missing: name the replica host");
  if (!host_name_like(s.recovery_connection_point))
    return invalid("RecoveryConnectionPoint",
                   "'" + s.recovery_connection_point + "' is no host name or address");
  if (cim::same_name(s.recovery_connection_point, host.name()))
    return invalid("RecoveryConnectionPoint", "'" + s.recovery_connection_point + "' is this host itself",
                   "name another host as the replica host");
  if (s.replication_interval != 30 && s.replication_interval != 300 && s.replication_interval != 900)
    return invalid("ReplicationInterval",
                   "is " + std::to_string(s.replication_interval) + ": 30, 300 and 900 seconds are possible");
  US_CHECK(check_authentication(given.get("AuthenticationType").number().value_or(s.authentication_type)));
  s.authentication_type = kCertificate;
  if (s.recovery_server_port == 0) s.recovery_server_port = kDefaultPort;
  if (s.certificate_thumbprint.empty())
    s.certificate_thumbprint = host.service_settings().certificate_thumbprint;
  return s;
}

Result<ReplicationSettings> connection_from(const cim::Instance& given, Host& host) {
  if (!given.get("AuthenticationType").number())
    return invalid("AuthenticationType", "is missing: 2 (certificate) is possible");
  if (given.get("RecoveryServerPortNumber").number().value_or(0) == 0)
    return invalid("RecoveryServerPortNumber", "is missing: name the port of the replica host");
  US_TRY(ReplicationSettings settings, replication_settings_from(given, {}, host));
  const std::string own = host.service_settings().certificate_thumbprint;
  if (!cim::same_name(settings.certificate_thumbprint, own))
    return invalid("CertificateThumbPrint", "'" + settings.certificate_thumbprint.substr(0, 128) +
                                                "' is of no certificate that is installed; this host's is " +
                                                own);
  return settings;
}

Result<std::vector<std::string>> included_disks_from(const cim::Instance& given, const VmView& view,
                                                     const cim::XmlParser& parse_xml) {
  const cim::Value& value = given.get("IncludedDisks");
  if (value.null()) return std::vector<std::string>{};
  const auto* elements = value.array();
  if (!elements || elements->empty())
    return invalid("IncludedDisks", "is empty: leave it out to replicate every disk");
  if (elements->size() > limits::kMostDisks)
    return invalid("IncludedDisks", "has more than " + std::to_string(limits::kMostDisks) + " elements");

  std::vector<std::string> wanted;
  for (const cim::Value::Scalar& element : *elements) {
    const auto* text = std::get_if<std::string>(&element);
    if (!text) return invalid("IncludedDisks", "holds something that is no text");
    US_TRY(const std::string id, disk_instance_id(*text, parse_xml));
    auto target = disk_target(view.vm.id, id);
    if (!target)
      return invalid("IncludedDisks",
                     "names '" + id.substr(0, 128) + "', which is no disk of VM '" + view.vm.name + "'",
                     "SELECT InstanceID FROM Msvm_StorageAllocationSettingData lists the disks");
    if (std::ranges::find(wanted, *target) != wanted.end())
      return invalid("IncludedDisks", "names disk " + *target + " twice");
    wanted.push_back(std::move(*target));
  }

  const std::vector<DiskGeometry> disks = known_disks(view);
  if (disks.empty()) return wanted;  // the hypervisor will say whether they exist
  std::vector<std::string> ordered;
  for (const DiskGeometry& disk : disks)
    if (std::ranges::find(wanted, disk.target) != wanted.end()) ordered.push_back(disk.target);
  for (const std::string& target : wanted)
    if (std::ranges::find(ordered, target) == ordered.end())
      return invalid("IncludedDisks",
                     "names disk " + target + ", which VM '" + view.vm.name + "' does not have");
  return ordered;
}

Result<ServiceSettings> service_settings_from(const cim::Instance& given, ServiceSettings s) {
  Reader read(given);
  read.flag("RecoveryServerEnabled", s.recovery_server_enabled);
  read.number("AllowedAuthenticationType", s.allowed_authentication_type, 0, 3);
  read.number("HttpPort", s.http_port, 1, 65535);
  read.number("HttpsPort", s.https_port, 1, 65535);
  read.text("CertificateThumbPrint", s.certificate_thumbprint);
  read.number("MonitoringInterval", s.monitoring_interval, 3600, 7 * kDay);
  read.time_of_day("MonitoringStartTime", s.monitoring_start_time);
  US_CHECK(read.status());
  if (s.allowed_authentication_type != 0 || s.recovery_server_enabled) {
    if (auto status = check_authentication(s.allowed_authentication_type); !status)
      return fail(status.error().context("AllowedAuthenticationType"));
  }
  return s;
}

Result<AuthorizationEntry> authorization_entry_from(const cim::Instance& given, AuthorizationEntry entry) {
  Reader read(given);
  read.text("AllowedPrimaryHostSystem", entry.allowed_primary_host_system);
  read.text("ReplicaStorageLocation", entry.replica_storage_location);
  read.text("TrustGroup", entry.trust_group);

  const std::string& primary = entry.allowed_primary_host_system;
  if (primary.empty()) return invalid("AllowedPrimaryHostSystem", "is missing: name the primary host, or *");
  const std::string_view rest = primary.starts_with("*.") ? std::string_view(primary).substr(2) : primary;
  if (primary != "*" && !host_name_like(rest))
    return invalid(
        "AllowedPrimaryHostSystem",
        "'" + primary.substr(0, kMostHostName) + "' is no host name: a * may only stand for the first label");
  const std::string& directory = entry.replica_storage_location;
  if (directory.empty())
    return invalid("ReplicaStorageLocation",
                   "is missing: name the directory for replicas of '" + primary + "'");
  if (directory.front() != '/' || directory.size() > kMostDirectory ||
      directory.find('\0') != std::string::npos)
    return invalid("ReplicaStorageLocation",
                   "'" + directory.substr(0, 256) + "' is no absolute path of this host");
  if (entry.trust_group.size() > kMostHostName)
    return invalid("TrustGroup", "is longer than " + std::to_string(kMostHostName) + " characters");
  return entry;
}

}  // namespace understudy::providers
