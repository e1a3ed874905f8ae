// The stored form of State (docs/spec/state.md).
#include "core/state.h"
#include "model/codec.h"

namespace understudy::core {
namespace {
constexpr std::string_view kKind = "understudy-engine";
constexpr uint32_t kVersion = 1;
constexpr size_t kMostName = 256;
}  // namespace

// Members that came later are optional objects: a state that was stored before has none of them.
struct StoredNetwork {
  std::vector<NicSettings> cards;
};
void fields(JsonFields& f, StoredNetwork& network) {
  f.objects("cards", network.cards, limits::kMostNics);
}
void fields(JsonFields& f, NetworkResult& result) {
  f.flag("given", result.given);
  f.object("error", result.error);
  f.time("since", result.since);
}

void fields(JsonFields& f, Cut& cut) {
  bool decided = cut.kind.has_value();
  TransferKind kind = cut.kind.value_or(TransferKind::pass);
  f.flag("decided", decided);
  f.choice("kind", kind, {TransferKind::pass, TransferKind::delta});
  if (f.reading()) cut.kind = decided ? std::optional(kind) : std::nullopt;
  f.number("sequence", cut.sequence, 1);
  f.number("pass", cut.pass);
  f.text("checkpoint", cut.checkpoint, kMostName, 1);
  f.flag("made", cut.made);
  f.time("at", cut.at);
  f.id("point", cut.point);
  f.choice("type", cut.type, {PointType::standard, PointType::application_consistent});
  f.choice("keep", cut.keep, {PointKeep::no, PointKeep::hourly, PointKeep::on_demand});
}

void fields(JsonFields& f, Resync& resync) {
  bool due = resync.due.has_value();
  Wall at = resync.due.value_or(Wall());
  f.text("why", resync.why, 1024);
  f.flag("running", resync.running);
  f.flag("cancelled", resync.cancelled);
  f.flag("scheduled", due);
  f.time("due", at);
  if (f.reading()) resync.due = due ? std::optional(at) : std::nullopt;
}

void fields(JsonFields& f, Obligations& o) {
  f.flag("end_job", o.end_job);
  f.texts("delete_checkpoints", o.delete_checkpoints, 64, kMostName);
  f.text("hold", o.hold, 1024);
  f.flag("lift_hold", o.lift_hold);
  f.flag("forget_changes", o.forget_changes);
  f.flag("unwatch", o.unwatch);
}

void fields(JsonFields& f, Failover& failover) {
  f.id("point", failover.point);
  f.choice("type", failover.type,
           {PointType::none, PointType::standard, PointType::application_consistent, PointType::planned});
  f.time("cut", failover.cut);
  f.number("generation", failover.generation);
  f.flag("primary_running", failover.primary_running);
  f.time("running_since", failover.running_since);
  f.number("ran_seconds", failover.ran_seconds);
  f.object("network", failover.network);
}

void fields(JsonFields& f, Times& t) {
  f.time("last_replication", t.last_replication);
  f.time("last_cut", t.last_cut);
  f.time("last_apply", t.last_apply);
  f.choice("last_type", t.last_type,
           {PointType::none, PointType::standard, PointType::application_consistent, PointType::planned});
  f.time("last_consistent", t.last_consistent);
  f.time("last_hourly", t.last_hourly);
  f.time("last_freeze", t.last_freeze);
}

void fields(JsonFields& f, Statistics& n) {
  f.time("since", n.since);
  f.number("successes", n.successes);
  f.number("failures", n.failures);
  f.number("network_failures", n.network_failures);
  f.number("misses", n.misses);
  f.number("bytes", n.bytes);
  f.number("most_bytes", n.most_bytes);
  f.number("latency_seconds", n.latency_seconds);
  f.number("most_latency_seconds", n.most_latency_seconds);
  f.number("freeze_failures", n.freeze_failures);
}

void fields(JsonFields& f, State& s) {
  std::string phase(phase_name(s.phase));
  f.id("vm", s.vm);
  f.text("name", s.name, kMostName);
  f.text("phase", phase, 32);
  if (f.reading()) {
    if (const auto known = phase_from_name(phase))
      s.phase = *known;
    else
      f.refuse("phase", known.error().message());
  }
  f.object("settings", s.settings);
  f.objects("disks", s.disks, limits::kMostDisks);
  f.object("lineage", s.lineage);
  f.object("cause", s.cause);
  f.time("cause_since", s.cause_since);
  f.texts("warnings", s.warnings, 64, 1024);
  f.object("times", s.times);
  f.object("statistics", s.statistics);
  f.objects("jobs", s.jobs, limits::kMostJobsKept * 2);
  f.flag("suspended", s.suspended);
  f.flag("ends", s.ends);
  std::optional<VmDefinition> definition;
  if (!s.definition.name.empty()) definition = s.definition;
  f.object("definition", definition);
  if (f.reading() && definition) s.definition = *definition;
  f.text("base_checkpoint", s.base_checkpoint, kMostName);
  f.number("base_sequence", s.base_sequence);
  f.number("passes", s.passes);
  f.object("cut", s.cut);
  f.object("resync", s.resync);
  f.flag("point_consistent", s.point_consistent);
  f.number("freeze_failures", s.freeze_failures);
  f.text("freeze_error", s.freeze_error, 1024);
  f.object("obligations", s.obligations);
  f.text("directory", s.directory, 4096);
  f.text("primary_name", s.primary_name, kMostName);
  f.object("failover", s.failover);
  std::optional<StoredNetwork> network;
  if (!s.network.empty()) network = StoredNetwork{s.network};
  f.object("network", network);
  if (f.reading() && network) s.network = std::move(network->cards);
}

std::string encode_state(const State& state) {
  return seal(kKind, kVersion, to_json(state));
}

Result<State> decode_state(std::string_view text) {
  US_TRY(Sealed sealed, unseal(text, kKind, kVersion, kVersion));
  return from_json<State>(std::move(sealed.value));
}

}  // namespace understudy::core
