#include "model/codec.h"

#include <algorithm>

namespace understudy {
namespace {

constexpr size_t kMostWord = 64;        // a model, a bus, a policy
constexpr size_t kMostName = 256;       // of a host, a VM, a network
constexpr size_t kMostSentence = 2048;  // what people read
constexpr size_t kMostDescription = 8192;
constexpr size_t kMostPath = 1024;
constexpr size_t kMostCommandLine = 4096;
constexpr size_t kMostListed = 256;  // devices of a kind, features: more than any machine type takes
constexpr uint32_t kMostCount = 1 << 20;
constexpr uint32_t kDay = 86400;

bool good_target(const std::string& target) {
  return !target.empty() && target.size() <= 4 &&
         std::all_of(target.begin(), target.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

// At most `most` bytes, ending between two characters.
std::string clipped(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

void target_field(JsonFields& f, std::string& target) {
  f.text("target", target, kMostWord);
  if (!good_target(target)) f.refuse("target", "want one to four letters a-z, as in vda");
}
void disk_size_field(JsonFields& f, uint64_t& size) {
  f.number("size", size, 512, limits::kMostDiskSize);
  if (size % 512 != 0) f.refuse("size", "not a multiple of 512");
}
void second_of_day(JsonFields& f, std::string_view name, uint32_t& second) {
  f.number(name, second, 0, kDay - 1);
}

}  // namespace

void fields(JsonFields& f, Error& error) {
  std::string code(error_info(error.code()).name);
  std::string message = clipped(error.message(), kMostSentence);
  std::string hint = clipped(error.hint(), kMostSentence);
  f.text("code", code, kMostWord, 1);
  f.text("message", message, kMostSentence);
  f.text("hint", hint, kMostSentence);
  if (f.reading()) error = Error(error_code_from_name(code), std::move(message), std::move(hint));
}

void fields(JsonFields& f, Lineage& lineage) {
  f.id("set", lineage.set);
  f.number("generation", lineage.generation);
  f.number("sequence", lineage.sequence);
}

void fields(JsonFields& f, DiskGeometry& disk) {
  target_field(f, disk.target);
  disk_size_field(f, disk.size);
}

void fields(JsonFields& f, Cursor& cursor) {
  f.number("disk", cursor.disk, 0, limits::kMostDisks);
  f.number("offset", cursor.offset, 0, limits::kMostDiskSize);
}

void fields(JsonFields& f, TransferKey& key) {
  f.object("lineage", key.lineage);
  f.number("from", key.from);
  f.choice("kind", key.kind, {TransferKind::pass, TransferKind::delta});
}

void fields(JsonFields& f, Staging& staging) {
  f.object("key", staging.key);
  f.object("cursor", staging.cursor);
}

void fields(JsonFields& f, Finding& finding) {
  f.choice("level", finding.level,
           {ReplicationHealth::ok, ReplicationHealth::warning, ReplicationHealth::critical});
  std::string cause = clipped(finding.cause, kMostSentence);
  std::string next = clipped(finding.next, kMostSentence);
  f.text("check", finding.check, kMostWord, 1);
  f.text("cause", cause, kMostSentence);
  f.text("next", next, kMostSentence);
  f.time("since", finding.since);
  if (!f.reading()) return;
  finding.cause = std::move(cause);
  finding.next = std::move(next);
}

void fields(JsonFields& f, HostState& host) {
  f.time("clock", host.clock);
  f.objects("findings", host.findings, limits::kMostFindings);
}

void fields(JsonFields& f, OtherSender& sender) {
  f.text("name", sender.name, kMostName, 1);
}

void fields(JsonFields& f, Holdings& holdings) {
  using enum ReplicationState;
  f.choice("mode", holdings.mode,
           {ReplicationMode::none, ReplicationMode::primary, ReplicationMode::replica,
            ReplicationMode::test_replica, ReplicationMode::extended});
  f.choice("state", holdings.state,
           {disabled, ready, waiting_to_complete, replicating, synced, recovered, committed, suspended,
            critical, waiting_for_resync, resynchronizing, resync_suspended, failover_in_progress});
  f.object("lineage", holdings.lineage);
  f.object("staging", holdings.staging);
  f.object("host", holdings.host);
  f.object("sender", holdings.sender);
}

void fields(JsonFields& f, RecoveryPoint& point) {
  f.id("id", point.id);
  f.object("lineage", point.lineage);
  f.choice("type", point.type,
           {PointType::none, PointType::standard, PointType::application_consistent, PointType::planned});
  f.time("cut", point.cut);
  f.time("received", point.received);
  f.number("bytes", point.bytes);
  f.choice("keep", point.keep, {PointKeep::no, PointKeep::hourly, PointKeep::on_demand});
}

void fields(JsonFields& f, JobProgress& progress) {
  f.number("complete", progress.complete);
  f.number("least_percent", progress.least_percent, 0, 99);
}

void fields(JsonFields& f, Job& job) {
  using enum JobType;
  f.id("id", job.id);
  f.choice("type", job.type,
           {modify_service_settings, create_relationship, remove_relationship, start_replication,
            change_state, initiate_failover, revert_failover, send_delta, receive_delta, resynchronize,
            apply_log, stop_resync, send_initial, request_state_change, create_point, give_network});
  f.choice("state", job.state,
           {JobState::new_, JobState::starting, JobState::running, JobState::completed, JobState::terminated,
            JobState::exception});
  f.text("title", job.title, kMostSentence);
  f.time("submitted", job.submitted);
  f.time("ended", job.ended);
  f.number("bytes_done", job.bytes_done);
  f.number("bytes_total", job.bytes_total);
  f.object("error", job.error);
  f.object("progress", job.progress);
}

void fields(JsonFields& f, ReplicationSettings& settings) {
  f.text("recovery_connection_point", settings.recovery_connection_point, kMostName);
  f.number("recovery_server_port", settings.recovery_server_port);
  f.text("recovery_host_system", settings.recovery_host_system, kMostName);
  f.text("primary_connection_point", settings.primary_connection_point, kMostName);
  f.text("primary_host_system", settings.primary_host_system, kMostName);
  f.number("authentication_type", settings.authentication_type, 1, 2);
  f.text("certificate_thumbprint", settings.certificate_thumbprint, 128);
  f.text("root_certificate_thumbprint", settings.root_certificate_thumbprint, 128);
  f.flag("compression_enabled", settings.compression_enabled);
  f.flag("bypass_proxy_server", settings.bypass_proxy_server);
  f.number("replication_interval", settings.replication_interval, 30, 900);
  const uint32_t interval = settings.replication_interval;
  if (interval != 30 && interval != 300 && interval != 900)
    f.refuse("replication_interval", "want 30, 300 or 900");
  f.number("recovery_history", settings.recovery_history, 0, 24);
  f.number("application_consistent_interval", settings.application_consistent_interval, 0, 12);
  f.flag("replicate_host_kvp_items", settings.replicate_host_kvp_items);
  f.texts("included_disks", settings.included_disks, limits::kMostDisks, kMostWord);
  f.flag("auto_resynchronize_enabled", settings.auto_resynchronize_enabled);
  second_of_day(f, "auto_resynchronize_start", settings.auto_resynchronize_start);
  second_of_day(f, "auto_resynchronize_end", settings.auto_resynchronize_end);
}

void fields(JsonFields& f, ServiceSettings& settings) {
  f.flag("recovery_server_enabled", settings.recovery_server_enabled);
  f.number("allowed_authentication_type", settings.allowed_authentication_type, 0, 3);
  f.number("http_port", settings.http_port, 0, UINT16_MAX);
  f.number("https_port", settings.https_port, 0, UINT16_MAX);
  f.text("certificate_thumbprint", settings.certificate_thumbprint, 128);
  f.number("monitoring_interval", settings.monitoring_interval, 3600, 604800);
  second_of_day(f, "monitoring_start_time", settings.monitoring_start_time);
}

void fields(JsonFields& f, AuthorizationEntry& entry) {
  f.text("allowed_primary_host_system", entry.allowed_primary_host_system, kMostName);
  f.text("replica_storage_location", entry.replica_storage_location, kMostPath);
  f.text("trust_group", entry.trust_group, kMostName);
}

void fields(JsonFields& f, VmDisk& disk) {
  target_field(f, disk.target);
  f.text("bus", disk.bus, kMostWord);
  disk_size_field(f, disk.size);
  f.text("serial", disk.serial, kMostName);
  f.text("address", disk.address, kMostWord);
  f.number("boot_order", disk.boot_order, 0, kMostCount);
  f.flag("discard", disk.discard);
  f.text("cache", disk.cache, kMostWord);
  f.text("io", disk.io, kMostWord);
  f.text("detect_zeroes", disk.detect_zeroes, kMostWord);
}

void fields(JsonFields& f, VmNic& nic) {
  f.text("mac", nic.mac, 17);
  f.text("model", nic.model, kMostWord);
  f.text("network", nic.network, kMostName);
  f.text("address", nic.address, kMostWord);
  f.number("boot_order", nic.boot_order, 0, kMostCount);
  f.flag("link_up", nic.link_up);
}

void fields(JsonFields& f, VmController& controller) {
  f.text("type", controller.type, kMostWord);
  f.text("model", controller.model, kMostWord);
  f.number("index", controller.index, 0, kMostCount);
  f.text("address", controller.address, kMostWord);
  f.number("chassis", controller.chassis, 0, kMostCount);
  f.number("port", controller.port, 0, kMostCount);
  f.number("bus_nr", controller.bus_nr, 0, kMostCount);
}

void fields(JsonFields& f, VmDevice& device) {
  f.text("element", device.element, kMostWord);
  f.text("type", device.type, kMostWord);
  f.text("model", device.model, kMostWord);
  f.text("address", device.address, kMostWord);
  f.text("target", device.target, kMostName);
  f.number("port", device.port, 0, kMostCount);
}

void fields(JsonFields& f, VmDefinition& definition) {
  f.id("id", definition.id);
  f.text("name", definition.name, kMostName, 1);
  f.text("title", definition.title, kMostSentence);
  f.text("description", definition.description, kMostDescription);
  f.text("type", definition.type, kMostWord);
  f.text("arch", definition.arch, kMostWord);
  f.text("machine", definition.machine, kMostWord);
  f.number("memory_kib", definition.memory_kib);
  f.number("current_memory_kib", definition.current_memory_kib);
  f.number("vcpus", definition.vcpus, 0, kMostCount);
  f.number("current_vcpus", definition.current_vcpus, 0, kMostCount);
  f.number("sockets", definition.sockets, 0, kMostCount);
  f.number("dies", definition.dies, 0, kMostCount);
  f.number("cores", definition.cores, 0, kMostCount);
  f.number("threads", definition.threads, 0, kMostCount);
  f.text("cpu_mode", definition.cpu_mode, kMostWord);
  f.text("cpu_model", definition.cpu_model, kMostWord);
  f.text("cpu_check", definition.cpu_check, kMostWord);
  f.texts("cpu_features", definition.cpu_features, kMostListed, kMostWord);
  f.text("kernel", definition.kernel, kMostPath);
  f.text("initrd", definition.initrd, kMostPath);
  f.text("cmdline", definition.cmdline, kMostCommandLine);
  f.text("firmware", definition.firmware, kMostWord);
  f.flag("secure_boot", definition.secure_boot);
  f.flag("enrolled_keys", definition.enrolled_keys);
  f.texts("boot_devices", definition.boot_devices, kMostListed, kMostWord);
  f.flag("acpi", definition.acpi);
  f.flag("apic", definition.apic);
  f.flag("pae", definition.pae);
  f.texts("features", definition.features, kMostListed, kMostWord);
  f.text("clock_offset", definition.clock_offset, kMostWord);
  f.texts("timers", definition.timers, kMostListed, kMostWord);
  f.text("on_poweroff", definition.on_poweroff, kMostWord);
  f.text("on_reboot", definition.on_reboot, kMostWord);
  f.text("on_crash", definition.on_crash, kMostWord);
  f.objects("disks", definition.disks, limits::kMostDisks);
  f.texts("cdroms", definition.cdroms, kMostListed, kMostWord);
  f.objects("nics", definition.nics, kMostListed);
  f.objects("controllers", definition.controllers, kMostListed);
  f.objects("devices", definition.devices, kMostListed);
}

}  // namespace understudy
