// A VM as a replicated one: its relationship, settings, jobs, points, and our own view of how it stands.
#include <algorithm>

#include "cim/embedded.h"
#include "cim/schema.h"
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

std::string job_status(const Job& job) {
  switch (job.state) {
    case JobState::new_:
    case JobState::starting:
      return "Job is starting";
    case JobState::running:
      return "Job is running";
    case JobState::completed:
      return "Job is completed";
    case JobState::terminated:
      return "Job was terminated";
    case JobState::exception:
      break;
  }
  return "Job has failed";
}

std::string job_kind(JobType type) {
  // Not in the documented list.
  if (type == JobType::create_point) return "Create Recovery Point";
  if (type == JobType::give_network) return "Give Network Settings to Guest";
  return std::string(cim::value_name("Msvm_ConcreteJob", "JobType", static_cast<int64_t>(type)));
}

struct ErrorClass {
  unsigned type;    // CIM_Error.ErrorType
  unsigned status;  // CIM_Error.CIMStatusCode
};
ErrorClass error_class(ErrorCode code) {
  switch (code) {
    case ErrorCode::access_denied:
    case ErrorCode::unauthenticated:
      return {7, 2};
    case ErrorCode::invalid_parameter:
    case ErrorCode::wrong_type:
    case ErrorCode::too_large:
      return {4, 4};
    case ErrorCode::not_found:
      return {9, 6};
    case ErrorCode::not_supported:
      return {10, 7};
    case ErrorCode::not_available:
    case ErrorCode::timeout:
    case ErrorCode::protocol:
      return {2, 1};
    case ErrorCode::no_space:
    case ErrorCode::out_of_memory:
    case ErrorCode::in_use:
      return {9, 1};
    default:
      return {4, 1};
  }
}

// Newest point this host knows of, on either side.
Wall newest_cut(const VmView& view) {
  return view.points.empty() ? view.state.times.last_cut : view.points.back().cut;
}

void issues(cim::Instance& i, const std::vector<core::Health>& found) {
  std::vector<cim::Value::Scalar> levels, causes, nexts, since;
  for (const core::Health& issue : found) {
    levels.emplace_back(static_cast<uint64_t>(issue.level));
    causes.emplace_back(issue.cause);
    nexts.emplace_back(issue.next);
    since.emplace_back(cim::DateTime::at(issue.since));
  }
  if (found.empty()) return;
  i.set("IssueHealth", std::move(levels)).set("IssueCauses", std::move(causes));
  i.set("IssueNexts", std::move(nexts)).set("IssueSince", std::move(since));
}

// A number, and beside it what its value map calls it.
template <class Number>
void set_with_text(cim::Instance& i, const char* property, Number number) {
  i.set(property, static_cast<unsigned>(number));
  i.set(std::string(property) + "Text",
        std::string(cim::value_name(i.class_name(), property, static_cast<int64_t>(number))));
}

// Three arrays of one length; NULL when nothing is set aside.
void set_aside(cim::Instance& i, const std::vector<SetAsideView>& all) {
  if (all.empty()) return;
  std::vector<cim::Value::Scalar> generations, since, bytes;
  for (const SetAsideView& one : all) {
    generations.emplace_back(one.generation);
    since.emplace_back(cim::DateTime::at(one.since));
    bytes.emplace_back(one.bytes);
  }
  i.set("SetAsideGenerations", std::move(generations)).set("SetAsideSince", std::move(since));
  i.set("SetAsideBytes", std::move(bytes));
}

void set_known(cim::Instance& i, std::string_view name, const std::string& text) {
  if (!text.empty()) i.set(name, text);
}

void set_primary_seen(cim::Instance& i, const VmView& view) {
  if (core::mode_of(view.state) != ReplicationMode::replica) return;
  i.set("PrimaryAlive", view.primary.alive);
  if (view.primary.heard)
    i.set("PrimaryHeardSeconds", static_cast<uint64_t>(view.primary.heard->whole_seconds()));
}

}  // namespace

PointType failed_over_type(const core::State& state) {
  const bool over = core::is_replica(state.phase) &&
                    core::published_state(state) == ReplicationState::recovered && state.failover;
  return over ? state.failover->type : PointType::none;
}

const RecoveryPoint* applied_point(const VmView& view) {
  if (failed_over_type(view.state) == PointType::none) return nullptr;
  const auto point = std::ranges::find(view.points, view.state.failover->point, &RecoveryPoint::id);
  return point == view.points.end() ? nullptr : &*point;
}

Wall last_application_consistent(const VmView& view) {
  Wall last;
  for (const RecoveryPoint& point : view.points)
    if (point.type == PointType::application_consistent) last = point.received;
  return last;
}

void relationship(Host&, const VmView& view, Instances& out) {
  const core::State& s = view.state;
  cim::Instance i = with_defaults("Msvm_ReplicationRelationship");
  i.set("InstanceID", relationship_id(view.vm.id)).set("ElementName", view.vm.name);
  i.set("Caption", "Replication Relationship").set("Description", "Primary relationship").set("Status", "OK");
  i.set("ReplicationState", static_cast<unsigned>(core::published_state(s)));
  i.set("ReplicationHealth", static_cast<unsigned>(view.health.level));
  i.set("FailedOverReplicationType", static_cast<unsigned>(failed_over_type(s)));
  i.set("LastReplicationType", static_cast<unsigned>(s.times.last_type));
  i.set("LastReplicationTime", cim::DateTime::at(s.times.last_replication));
  i.set("LastApplicationConsistentReplicationTime", cim::DateTime::at(last_application_consistent(view)));
  i.set("LastApplyTime", cim::DateTime::at(s.times.last_apply));
  out.push_back(std::move(i));
}

// There is always one: without replication it is the template that clients fill in.
void replication_settings(Host& host, const VmView& view, Instances& out) {
  const ReplicationSettings& s = view.state.settings;
  cim::Instance i = with_defaults("Msvm_ReplicationSettingData");
  i.set("InstanceID", relationship_id(view.vm.id)).set("ElementName", view.vm.name);
  i.set("VirtualSystemIdentifier", view.vm.id.upper());
  set_known(i, "RecoveryConnectionPoint", s.recovery_connection_point);
  set_known(i, "RecoveryHostSystem", s.recovery_host_system);
  set_known(i, "PrimaryConnectionPoint", s.primary_connection_point);
  set_known(i, "PrimaryHostSystem", s.primary_host_system);
  set_known(i, "CertificateThumbPrint", s.certificate_thumbprint);
  set_known(i, "RootCertificateThumbPrint", s.root_certificate_thumbprint);
  i.set("RecoveryServerPortNumber", s.recovery_server_port).set("AuthenticationType", s.authentication_type);
  i.set("CompressionEnabled", s.compression_enabled).set("BypassProxyServer", s.bypass_proxy_server);
  i.set("ReplicationInterval", s.replication_interval).set("RecoveryHistory", s.recovery_history);
  i.set("ApplicationConsistentSnapshotInterval", s.application_consistent_interval);
  i.set("ReplicateHostKvpItems", s.replicate_host_kvp_items);
  i.set("AutoResynchronizeEnabled", s.auto_resynchronize_enabled);
  const auto time_of_day = [](uint32_t second) { return cim::DateTime::length(Duration::seconds(second)); };
  i.set("AutoResynchronizeIntervalStart", time_of_day(s.auto_resynchronize_start));
  i.set("AutoResynchronizeIntervalEnd", time_of_day(s.auto_resynchronize_end));
  i.set("EnableWriteOrderPreservationAcrossDisks", true);
  i.set("ReplicationProvider", provider_path(host.name()).text());

  std::vector<std::string> included;
  for (const DiskGeometry& disk : known_disks(view))
    if (s.included_disks.empty() ||
        std::ranges::find(s.included_disks, disk.target) != s.included_disks.end())
      included.push_back(cim::format_embedded(disk_instance(view.vm.id, disk)));
  i.set("IncludedDisks", array_of(included));
  out.push_back(std::move(i));
}

void jobs(Host& host, const core::State& state, Instances& out) {
  for (const Job& job : state.jobs) {
    cim::Instance i = with_defaults("Msvm_ConcreteJob");
    const std::string kind = job_kind(job.type);
    i.set("InstanceID", job.id.upper()).set("Name", job.id.upper());
    i.set("Caption", kind).set("ElementName", kind).set("Description", job.title).set("Status", "OK");
    i.set("JobType", static_cast<unsigned>(job.type)).set("JobState", static_cast<unsigned>(job.state));
    i.set("JobStatus", job_status(job)).set("PercentComplete", job.percent());
    const Wall end = job.finished() ? job.ended : host.now();
    i.set("TimeSubmitted", cim::DateTime::at(job.submitted));
    i.set("StartTime", cim::DateTime::at(job.submitted));
    i.set("ElapsedTime", cim::DateTime::length(std::max(end - job.submitted, Duration{})));
    i.set("TimeOfLastStateChange", cim::DateTime::at(job.finished() ? job.ended : job.submitted));
    i.set("LocalOrUtcTime", 2U)
        .set("DeleteOnCompletion", true)
        .set("Cancellable", core::cancellable(state, job));
    i.set("ErrorCode", job.error ? error_info(job.error->code()).cim_return : 0U);
    if (job.error)
      i.set("ErrorDescription", job.error->text()).set("ErrorSummaryDescription", job.error->message());
    out.push_back(std::move(i));
  }
}

void recovery_points(Host& host, const VmView& view, Instances& out) {
  const RecoveryPoint* applied = applied_point(view);
  for (const RecoveryPoint& point : view.points) {
    cim::Instance i = with_defaults("Understudy_RecoveryPoint");
    i.set("InstanceID", settings_id(point.id)).set("ElementName", view.vm.name);
    i.set("VirtualSystemIdentifier", view.vm.id.upper()).set("PointID", point.id.lower());
    set_with_text(i, "PointType", point.type);
    set_with_text(i, "Keep", point.keep);
    const Duration age = std::max(host.now() - point.cut, Duration{});
    i.set("CutTime", cim::DateTime::at(point.cut));
    i.set("AgeSeconds", static_cast<uint64_t>(age.whole_seconds()));
    i.set("ReceivedTime", cim::DateTime::at(point.received)).set("Bytes", point.bytes);
    i.set("Newest", &point == &view.points.back()).set("FailedOver", &point == applied);
    out.push_back(std::move(i));
  }
}

void job_details(Host&, const core::State& state, Instances& out) {
  for (const Job& job : state.jobs) {
    cim::Instance i = with_defaults("Understudy_ConcreteJobDetail");
    i.set("InstanceID", job.id.upper()).set("ElementName", state.name).set("Description", job.title);
    i.set("VirtualSystemIdentifier", state.vm.upper());
    if (job.bytes_total > 0) i.set("BytesDone", job.bytes_done).set("BytesTotal", job.bytes_total);
    if (job.error) set_known(i, "Hint", job.error->hint());
    out.push_back(std::move(i));
  }
}

cim::Instance error_instance(const Error& error, const cim::ObjectPath& source) {
  const ErrorInfo& info = error_info(error.code());
  const ErrorClass kind = error_class(error.code());
  cim::Instance i = with_defaults("Msvm_Error");
  i.set("MessageID", std::to_string(info.cim_return)).set("Message", error.message());
  i.set("ErrorType", kind.type).set("PerceivedSeverity", 4U).set("CIMStatusCode", kind.status);
  i.set("ProbableCauseDescription", std::string(info.text)).set("OwningEntity", "Understudy");
  i.set("ErrorSource", source.text()).set("ErrorSourceFormat", 2U);
  if (!error.hint().empty()) i.set("RecommendedActions", array_of({error.hint()}));
  return i;
}

void status(Host& host, const VmView& view, Instances& out) {
  const core::State& s = view.state;
  const core::Health& h = view.health;
  cim::Instance i = with_defaults("Understudy_ReplicationStatus");
  i.set("InstanceID", relationship_id(view.vm.id)).set("ElementName", view.vm.name);
  i.set("VirtualSystemIdentifier", view.vm.id.upper());
  set_with_text(i, "ReplicationMode", core::mode_of(s));
  set_with_text(i, "ReplicationState", core::published_state(s));
  set_with_text(i, "ReplicationHealth", h.level);
  i.set("Phase", std::string(core::phase_name(s.phase)));
  set_known(i, "HealthCause", h.cause);
  set_known(i, "HealthNext", h.next);
  if (!h.since.never()) i.set("HealthSince", cim::DateTime::at(h.since));
  if (core::mode_of(s) != ReplicationMode::none) {
    issues(i, view.issues);
    if (const Wall cut = newest_cut(view); !cut.never()) {
      // A cut is dated by the primary's clock.
      const Duration ahead = core::is_replica(s.phase) ? s.neighbour.ahead : Duration{};
      const Duration age = std::max(host.now() + ahead - cut, Duration{});
      i.set("LastCutTime", cim::DateTime::at(cut));
      i.set("RecoveryPointAgeSeconds", static_cast<uint64_t>(age.whole_seconds()));
    }
    i.set("ClockAheadMilliseconds", s.neighbour.ahead.whole_millis());
    i.set("RecoveryPoints", view.points.size());
    i.set("ReplicationInterval", s.settings.replication_interval);
    set_known(i, "PrimaryHost",
              s.settings.primary_host_system.empty() ? s.primary_name : s.settings.primary_host_system);
    set_known(i, "ReplicaHost",
              s.settings.recovery_host_system.empty() ? s.settings.recovery_connection_point
                                                      : s.settings.recovery_host_system);
    set_known(i, "ReplicaDirectory", s.directory);
    i.set("StatisticsSince", cim::DateTime::at(s.statistics.since));
    i.set("TransferredBytes", s.statistics.bytes).set("CycleSuccesses", s.statistics.successes);
    i.set("CycleFailures", s.statistics.failures).set("CycleMisses", s.statistics.misses);
    i.set("DiskSet", s.lineage.set.lower());
    i.set("Generation", s.lineage.generation).set("Sequence", s.lineage.sequence);
    i.set("Warnings", array_of(s.warnings));
    set_aside(i, view.set_aside);
    set_primary_seen(i, view);
    if (failed_over_type(s) != PointType::none)
      i.set("FailoverRanSeconds", core::ran_seconds(*s.failover, host.now()))
          .set("FailoverBytes", view.failover_bytes);
    if (failed_over_type(s) != PointType::none && !s.network.empty()) {
      const auto& network = s.failover->network;
      i.set("NetworkGiven", network && network->given);
      if (network && network->error) i.set("NetworkError", network->error->text());
    }
  }
  for (const Job& job : s.jobs)
    if (job.type == JobType::send_initial && !job.finished() && job.bytes_total > 0)
      i.set("FirstCopyBytesDone", job.bytes_done).set("FirstCopyBytesTotal", job.bytes_total);
  if (s.cause) i.set("LastError", s.cause->text()).set("LastErrorTime", cim::DateTime::at(s.cause_since));
  out.push_back(std::move(i));
}

}  // namespace understudy::providers
