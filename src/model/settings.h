// Settings of a relationship and of a host's replication service. Names follow Msvm_ReplicationSettingData,
// Msvm_ReplicationServiceSettingData and Msvm_ReplicationAuthorizationSettingData, whose pages give the
// ranges.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace understudy {

struct ReplicationSettings {
  std::string recovery_connection_point;  // FQDN or address of the replica host, 1..256
  uint16_t recovery_server_port = 0;      // 0 = the default port
  std::string recovery_host_system;       // filled by the service
  std::string primary_connection_point;   // filled by the service
  std::string primary_host_system;        // filled by the service
  uint16_t authentication_type = 2;       // 2 certificate; 1 is refused (spec section 12)
  std::string certificate_thumbprint;     // SHA-256 of the certificate in hex, up to 128
  std::string root_certificate_thumbprint;
  bool compression_enabled = true;
  bool bypass_proxy_server = false;
  uint32_t replication_interval = 300;           // seconds: 30, 300 or 900
  uint32_t recovery_history = 0;                 // 0..24 hourly points
  uint32_t application_consistent_interval = 0;  // hours, 0..12, 0 = none
  bool replicate_host_kvp_items = true;
  std::vector<std::string> included_disks;  // targets; what the clients name by InstanceID ends here
  bool auto_resynchronize_enabled = false;
  uint32_t auto_resynchronize_start = 18 * 3600 + 30 * 60;  // second of the local day
  uint32_t auto_resynchronize_end = 6 * 3600;
  bool operator==(const ReplicationSettings&) const = default;
};

struct ServiceSettings {
  bool recovery_server_enabled = false;
  uint32_t allowed_authentication_type = 0;  // 0 undefined, 2 certificate
  uint32_t http_port = 80;
  uint32_t https_port = 443;  // where the replication listener runs
  std::string certificate_thumbprint;
  uint32_t monitoring_interval = 43200;       // seconds, 3600..604800
  uint32_t monitoring_start_time = 9 * 3600;  // second of the UTC day
  bool operator==(const ServiceSettings&) const = default;
};

struct AuthorizationEntry {
  std::string allowed_primary_host_system;  // FQDN, "*.dom.example" or "*"; compared without case
  std::string replica_storage_location;     // directory on this host
  std::string trust_group;
  bool operator==(const AuthorizationEntry&) const = default;
};

}  // namespace understudy
