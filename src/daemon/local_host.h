// This host as the providers see it: joins what libvirt lists, what the engines know and what the stores
// hold, and turns method calls into events that carry fresh facts. Any thread.
#pragma once

#include <functional>

#include "daemon/checker.h"
#include "daemon/registry.h"
#include "daemon/vm_finder.h"
#include "performer/core_loop.h"
#include "providers/host.h"

namespace understudy::daemon {

class LocalHost final : public providers::Host {
 public:
  struct Parts {
    performer::CoreLoop& core;
    core::Hypervisor& hypervisor;
    Registry& registry;
    Clock& clock;
    std::string name;
    std::string certificate;             // file of this host's replication certificate
    std::string management_certificate;  // file of the one that clients see
    transfer::Connector& connector;
    // Makes the replication listener run as these settings say; called before they are stored.
    std::function<Status(const ServiceSettings&)> apply_settings;
    std::function<bool()> listening;
    Checker& checker;
  };
  explicit LocalHost(Parts parts);

  std::string name() const override { return parts_.name; }
  std::string product_version() const override { return UNDERSTUDY_VERSION; }
  Wall now() const override { return parts_.clock.now().wall; }
  Result<std::vector<providers::VmView>> vms() override;
  Result<providers::VmView> vm(const Uuid& id, Duration patience) override;
  std::vector<core::State> engines(const std::optional<Uuid>& vm) override;
  std::optional<Uuid> vm_of_job(const Uuid& job) override { return parts_.core.vm_of_job(job); }
  std::optional<Uuid> vm_of_point(const Uuid& point) override;
  bool listening() const override { return parts_.listening(); }
  // Before an operator names a certificate it is the one that is installed.
  ServiceSettings service_settings() override;
  Status modify_service_settings(const ServiceSettings& settings) override;
  std::vector<AuthorizationEntry> authorization_entries() override { return parts_.registry.entries(); }
  Status add_authorization_entry(const AuthorizationEntry& entry) override;
  Status modify_authorization_entry(const AuthorizationEntry& entry) override;
  Status remove_authorization_entry(const std::string& allowed_primary_host_system) override;
  std::vector<Bytes> certificates() override;
  Status test_connection(const std::string& host, uint16_t port) override;
  providers::MethodResult create_relationship(const Uuid& vm, const ReplicationSettings& settings) override;
  providers::MethodResult modify_relationship(const Uuid& vm, const ReplicationSettings& before,
                                              const ReplicationSettings& settings) override;
  providers::MethodResult start_replication(const Uuid& vm) override;
  providers::MethodResult initiate_failover(const Uuid& vm, const std::optional<Uuid>& point) override;
  providers::MethodResult remove_relationship(const Uuid& vm) override;
  providers::MethodResult revert_failover(const Uuid& vm) override;
  providers::MethodResult request_replication_state(const Uuid& vm, uint16_t requested) override;
  providers::MethodResult resynchronize(const Uuid& vm, std::optional<Wall> start) override;
  Result<std::vector<VmNic>> network_cards(const Uuid& vm) override {
    return parts_.hypervisor.network_cards(vm);
  }
  providers::MethodResult set_network(const Uuid& vm, const std::vector<NicSettings>& settings) override;
  providers::MethodResult create_point(const Uuid& vm, bool application_consistent) override;
  providers::MethodResult reset_statistics(const Uuid& vm) override;
  Result<std::vector<providers::HostFinding>> check(const Uuid& vm) override {
    return parts_.checker.check(vm);
  }
  providers::MethodResult cancel_job(const Uuid& vm, const Uuid& job) override;
  providers::MethodResult request_power(const Uuid& vm, bool on) override;

 private:
  providers::VmView view(core::VmSummary vm, bool listed, std::optional<core::State> state) const;
  core::PrimarySeen primary_seen(const core::State& state) const;
  core::CallFacts facts(const Uuid& vm) const;
  std::vector<RecoveryPoint> points(const Uuid& vm) const;
  providers::MethodResult call(const Uuid& vm, const std::function<core::Event(core::CallId)>& make);
  Status complete(ReplicationSettings& settings) const;
  Status find_replica(const core::State& state, ReplicationSettings& settings) const;
  core::CallFacts facts_of_replica(const Uuid& vm) const;
  std::optional<Error> unusable_files(const Uuid& vm, const std::optional<Uuid>& point) const;
  Parts parts_;
  mutable VmFinder finder_;
};

}  // namespace understudy::daemon
