// What each class shows. Every function appends the instances of one class: `..._of_host` those that exist
// once, the others those of one VM. Properties that nothing is known of stay NULL; those with a default in
// the schema have it. Pure functions of what Host said.
#pragma once

#include <vector>

#include "cim/value.h"
#include "providers/host.h"

namespace understudy::providers {

using Instances = std::vector<cim::Instance>;

// An instance with the schema's defaults.
cim::Instance with_defaults(std::string_view class_name);
cim::Value array_of(const std::vector<std::string>& texts);  // NULL when empty

// The disks of a VM as far as they are known: the replicated ones, or those of its definition.
std::vector<DiskGeometry> known_disks(const VmView& view);
// None of a VM that the hypervisor does not know.
std::vector<VmNic> cards_of(Host& host, const VmView& view);
PointType failed_over_type(const core::State& state);  // none but after a failover
// The point that the VM is failed over to; null when it is not, or when that point is listed no longer.
const RecoveryPoint* applied_point(const VmView& view);
// Receipt of the newest application-consistent point that is listed; never when there is none.
Wall last_application_consistent(const VmView& view);
cim::Instance disk_instance(const Uuid& vm, const DiskGeometry& disk);
cim::Instance error_instance(const Error& error, const cim::ObjectPath& source);  // Msvm_Error
cim::Instance statistics_instance(Host& host, const VmView& view);  // Msvm_ReplicationStatistics
std::vector<cim::Instance> health_issues(const VmView& view);       // Msvm_Error; none when it is Ok
cim::Instance finding_instance(const VmView& view, const HostFinding& found);  // Understudy_Finding

// --- of the host (host_instances.cc) ---
void system_of_host(Host& host, Instances& out);
void service_of_host(Host& host, Instances& out);
void own_service_of_host(Host& host, Instances& out);  // Understudy_ReplicationService
void service_settings_of_host(Host& host, Instances& out);
void authorizations_of_host(Host& host, Instances& out);
void provider_of_host(Host& host, Instances& out);
void management_service_of_host(Host& host, Instances& out);

// --- of a VM (vm_instances.cc, replication_instances.cc) ---
void system(Host& host, const VmView& view, Instances& out);
void system_settings(Host& host, const VmView& view, Instances& out);  // realized, then the recovery points
void disks(Host& host, const VmView& view, Instances& out);
void processors(Host& host, const VmView& view, Instances& out);
void memory(Host& host, const VmView& view, Instances& out);
void summary(Host& host, const VmView& view, Instances& out);
void network_cards(Host& host, const VmView& view, Instances& out);      // network_instances.cc
void failover_networks(Host& host, const VmView& view, Instances& out);  // one for each card, set or not
void relationship(Host& host, const VmView& view, Instances& out);
void replication_settings(Host& host, const VmView& view, Instances& out);
void jobs(Host& host, const core::State& state, Instances& out);
void status(Host& host, const VmView& view, Instances& out);             // Understudy_ReplicationStatus
void recovery_points(Host& host, const VmView& view, Instances& out);    // Understudy_RecoveryPoint
void job_details(Host& host, const core::State& state, Instances& out);  // Understudy_ConcreteJobDetail

// --- links (associations.cc) ---
void hosted_service(Host& host, Instances& out);
void service_element_settings(Host& host, Instances& out);
void service_affects(Host& host, const VmView& view, Instances& out);
void system_relationship(Host& host, const VmView& view, Instances& out);
void settings_define_state(Host& host, const VmView& view, Instances& out);
void snapshots_of_system(Host& host, const VmView& view, Instances& out);
void most_current_snapshot(Host& host, const VmView& view, Instances& out);
void last_applied_snapshot(Host& host, const VmView& view, Instances& out);
void affected_by_job(Host& host, const VmView& view, Instances& out);
void settings_components(Host& host, const VmView& view, Instances& out);
void hosted_system(Host& host, const VmView& view, Instances& out);
void summary_of_system(Host& host, const VmView& view, Instances& out);
void failover_components(Host& host, const VmView& view, Instances& out);

}  // namespace understudy::providers
