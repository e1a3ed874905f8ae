// What exists once: the host, its replication service and that service's settings.
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {

void system_of_host(Host& host, Instances& out) {
  cim::Instance i = with_defaults("Msvm_ComputerSystem");
  i.set("CreationClassName", "Msvm_ComputerSystem").set("Name", host.name()).set("ElementName", host.name());
  i.set("Caption", "Hosting Computer System").set("Description", "Understudy " + host.product_version());
  i.set("EnabledState", 2U).set("RequestedState", 12U).set("Status", "OK");
  i.set("OperationalStatus", std::vector<cim::Value::Scalar>{uint64_t{2}});
  i.set("StatusDescriptions", array_of({"Operating normally"}));
  out.push_back(std::move(i));
}

namespace {

cim::Instance service(Host& host, const char* class_name, const char* title) {
  const bool listening = host.listening();
  cim::Instance i = with_defaults(class_name);
  i.set("SystemName", host.name()).set("ElementName", title).set("RequestedState", 12U);
  i.set("OperationalStatus", std::vector<cim::Value::Scalar>{uint64_t{listening ? 2U : 6U}});
  i.set("StatusDescriptions",
        array_of({listening ? "The service is running normally"
                            : "The listener for replication does not run as the settings say"}));
  i.set("Status", listening ? "OK" : "Error");
  return i;
}

}  // namespace

void service_of_host(Host& host, Instances& out) {
  out.push_back(service(host, "Msvm_ReplicationService", "Hyper-V Replica Service"));
}

void own_service_of_host(Host& host, Instances& out) {
  out.push_back(service(host, "Understudy_ReplicationService", "Understudy Replication Service"));
}

void service_settings_of_host(Host& host, Instances& out) {
  const ServiceSettings s = host.service_settings();
  cim::Instance i = with_defaults("Msvm_ReplicationServiceSettingData");
  i.set("InstanceID", service_settings_id(host.name()));
  i.set("RecoveryServerEnabled", s.recovery_server_enabled);
  i.set("AllowedAuthenticationType", s.allowed_authentication_type);
  i.set("HttpPort", s.http_port).set("HttpsPort", s.https_port);
  if (!s.certificate_thumbprint.empty()) i.set("CertificateThumbPrint", s.certificate_thumbprint);
  i.set("MonitoringInterval", s.monitoring_interval);
  i.set("MonitoringStartTime", cim::DateTime::length(Duration::seconds(s.monitoring_start_time)));
  out.push_back(std::move(i));
}

void authorizations_of_host(Host& host, Instances& out) {
  for (const AuthorizationEntry& entry : host.authorization_entries()) {
    cim::Instance i = with_defaults("Msvm_ReplicationAuthorizationSettingData");
    i.set("InstanceID", authorization_id(host.name(), entry.allowed_primary_host_system));
    i.set("Caption", "Replication Authorization Settings");
    i.set("ElementName", entry.allowed_primary_host_system);
    i.set("AllowedPrimaryHostSystem", entry.allowed_primary_host_system);
    i.set("ReplicaStorageLocation", entry.replica_storage_location).set("TrustGroup", entry.trust_group);
    out.push_back(std::move(i));
  }
}

void provider_of_host(Host& host, Instances& out) {
  cim::Instance i = with_defaults("Msvm_ReplicationProvider");
  i.set("InstanceID", provider_id(host.name())).set("Name", std::string(kProviderName));
  i.set("Caption", "Replication Provider").set("ElementName", "Understudy").set("Status", "OK");
  i.set("OperationalStatus", std::vector<cim::Value::Scalar>{uint64_t{2}});
  out.push_back(std::move(i));
}

}  // namespace understudy::providers
