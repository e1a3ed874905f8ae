#include "oracle.h"

#include <nlohmann/json.hpp>

#include "world.h"

namespace understudy::sim {
namespace {

// None when there is no manifest, and when a bit flipped in it so that it is none any more.
std::optional<ManifestOnDisk> parse_manifest(const Bytes* bytes) try {
  if (bytes == nullptr) return std::nullopt;
  std::string_view text = as_text(*bytes);
  text = text.substr(0, text.rfind("xxh3-128 "));
  const auto json = nlohmann::json::parse(text);
  ManifestOnDisk manifest;
  manifest.generation = json.at("generation");
  manifest.spent = json.at("spent");
  manifest.chain = json.at("chain").size();
  manifest.set_aside = json.at("set_aside").size();
  for (const auto& point : json.at("points"))
    manifest.points.push_back(
        {point.at("id"), manifest.generation, point.at("sequence"), point.at("keep"), point.at("cut_us")});
  if (!json.at("failover").is_null())
    manifest.failover =
        ManifestOnDisk::Failover{json.at("failover").at("generation"), json.at("failover").at("complete"),
                                 json.at("failover").at("point")};
  return manifest;
} catch (const nlohmann::json::exception&) {
  return std::nullopt;
}

uint64_t sequence_of(const std::string& checkpoint) {
  return std::stoull(checkpoint.substr(checkpoint.rfind('-') + 1));
}

std::string number(uint64_t n) {
  return std::to_string(n);
}

}  // namespace

void Oracle::violate(const std::string& check, const std::string& found) {
  if (violation_) return;
  violation_ = Violation{check, found};
  world_.trace.text([&] { return "VIOLATION: " + check + ": " + found; });
}

std::optional<ManifestOnDisk> Oracle::read(const std::string& name, bool durable) const {
  const auto& files = world_.replica().files;
  const std::string path = world_.directory() + "/" + name;
  return parse_manifest(durable ? files.durable_bytes(path) : files.bytes(path));
}

uint64_t Oracle::newest_durable() const {
  const auto found = manifest(true);
  return found ? found->newest() : 0;
}

// --- told by the hypervisors ---

void Oracle::cut(const std::string& checkpoint, const Contents& contents, Wall at) {
  if (!cuts_.emplace(sequence_of(checkpoint), Cut{contents, at}).second)
    violate("a sequence is never used twice", checkpoint + " was cut before");
}

// The checkpoint that continues what the replica durably holds goes only when the engine has said that both
// sides must be compared.
void Oracle::retired(const std::string& checkpoint, bool broken) {
  const core::State& engine = world_.primary().engine();
  if (world_.faults.flipped()) return;  // what is durable cannot be told
  if (broken || engine.resync || engine.phase == core::Phase::halted) return;
  if (engine.phase == core::Phase::ending) return;  // nothing follows any more
  // Nothing that this host recorded continues what was sent under another name.
  const std::string& sender = world_.replica().engine().primary_name;
  if (!sender.empty() && sender != world_.primary().certificate) return;
  const uint64_t held = newest_durable();
  if (held < acknowledged_) return;
  if (held != 0 && held == sequence_of(checkpoint))
    violate("a checkpoint is retired only after the durable acknowledgement of what follows it",
            checkpoint + " is deleted, and the newest durable point of the replica is " + number(held) +
                ", the primary's base " + number(engine.base_sequence));
}

void Oracle::hold_lifted(int host) {
  if (host != 1) return;
  auto held = manifest(true);
  if (!held) held = retired(true);
  if (!held) return;
  if (!held->failover || !held->failover->complete)
    violate("the replica's hold is lifted only after its failover is durable",
            "the manifest has no complete failover");
  else if (held->failover->generation <= held->generation)
    violate("the generation is raised before the hold is lifted",
            "failover " + number(held->failover->generation) + " of generation " + number(held->generation));
}

void Oracle::started(int host) {
  if (world_.faults.flipped()) return;
  auto held = manifest();
  if (!held) held = retired();
  const bool other_runs = world_.hosts[static_cast<size_t>(1 - host)]->hypervisor.runs();
  if (host == 1 && (!held || !held->failover || !held->failover->complete))
    violate("a replica starts only after a failover", "it starts without one");
  else if (host == 1)
    check_active(*held);
  const Vm& vm = world_.hosts[static_cast<size_t>(host)]->hypervisor.vm;
  if (host == 1 && std::ranges::find(definitions_, vm.definition) == definitions_.end())
    violate("a VM begins with a definition that the primary's had", "it has another one");
  if (other_runs && (!held || !held->failover || held->failover->generation <= held->generation))
    violate("within one generation one copy runs", "both run");
  if (other_runs) world_.watch.saw(Rare::both_run);
}

// --- after every step ---

void Oracle::after_step() {
  if (world_.faults.flipped()) return;
  check_replica();
  check_holds();
  if (damage_due_) check_damage();
  for (const auto& host : world_.hosts) check_network(*host);
}

void Oracle::at_rest() {
  const Vm& vm = world_.primary().hypervisor.vm;
  const core::State& engine = world_.primary().engine();
  if (vm.job && !vm.job->foreign) violate("no backup job stays open", "one does, at rest");
  for (const Vm::Checkpoint& checkpoint : vm.checkpoints)
    if (checkpoint.name != engine.base_checkpoint)
      violate("no checkpoint is left behind",
              checkpoint.name + ", at rest with base " + engine.base_checkpoint);
  if (!vm.changed_while_off.empty()) violate("what was written while the VM was off is covered", "it is not");
  for (const auto& host : world_.hosts)
    for (const Job& job : host->engine().jobs)
      if (!job.finished() && job.type != JobType::create_point)  // which the next cycle ends
        violate("no job stays open", host->name + ": " + job.title);
  if (vm.held) violate("a primary is held only after a failover", "it is held, at rest");
  if (world_.leaving()) check_retired();
}

// Both sides were removed. The replica's VM is an ordinary one, if it had a point.
void Oracle::check_retired() {
  const Vm& vm = world_.replica().hypervisor.vm;
  if (world_.primary().hypervisor.vm.watched) violate("a removed primary is not watched", "it is");
  if (vm.held) violate("a removed replica is not held", "it is");
  if (vm.ours) violate("a removed replica is not marked as one", "it is");
  if (const auto kept = retired()) {
    if (!vm.defined) violate("a removed replica with a point is a VM", "it is not defined");
    if (!kept->failover || !kept->failover->complete)
      return violate("a removed replica has disks of its own", "they are not complete");
    check_active(*kept);
    for (const std::string& path : vm.disk_paths)
      if (world_.replica().files.bytes(path) == nullptr) violate("a removed replica has its disks", path);
  } else if (vm.defined || newest_durable() != 0) {
    violate("a replica without a point goes with its files",
            vm.defined ? "its VM is there" : "they are there");
  }
}

void Oracle::look_at_everything() {
  seen_changes_ = UINT64_MAX;
  check_replica();
  if (!seen_) return;
  for (const PointOnDisk& point : seen_->points) check_point(point, true);
}

void Oracle::check_replica() {
  const uint64_t changes = world_.replica().files.changes_outside(world_.directory() + "/incoming");
  if (changes == seen_changes_ || violation_) return;
  seen_changes_ = changes;
  const std::optional<ManifestOnDisk> before = std::move(seen_);
  seen_ = manifest();
  if (!seen_) return;
  if (before && before->failover && seen_->failover && before->newest() != seen_->newest())
    violate("nothing flows between generations", "point " + number(seen_->newest()) +
                                                     " was published during failover " +
                                                     number(seen_->failover->generation));
  if (before && before->set_aside > seen_->set_aside) world_.watch.saw(Rare::set_aside_dropped);
  check_bounds(*seen_);
  for (const PointOnDisk& point : seen_->points) check_point(point, false);
  damage_due_ = !rots_.empty();
}

bool Oracle::holds(const RecoveryPoint& point, uint32_t disk, ByteView content) const {
  const auto cut = cuts_.find(point.lineage.sequence);
  if (cut == cuts_.end()) return false;
  const Excuse excused = excuse(disk);
  for (uint64_t at = 0; at + 8 <= content.size(); at += 8) {
    const uint64_t found = load_le<uint64_t>(content.data() + at);
    const uint64_t want = cut->second.contents[disk][at / kBlock];
    if (found != want && !(excused && excused(at, want, found))) return false;
  }
  return true;
}

bool Oracle::any_point_differs() {
  const std::optional<Violation> before = violation_;
  const auto held = manifest();
  bool differs = false;
  if (held)
    for (const PointOnDisk& point : held->points) check_point(point, true);
  differs = violation_.has_value();
  violation_ = before;
  return differs;
}

void Oracle::check_bounds(const ManifestOnDisk& manifest) {
  size_t hourly = 0;
  size_t on_demand = 0;
  for (size_t i = 0; i + 1 < manifest.points.size(); ++i) {
    if (manifest.points[i].keep == 1) ++hourly;
    if (manifest.points[i].keep == 2) ++on_demand;
    if (manifest.points[i].keep == 0) violate("only the newest point is listed without a reason", number(i));
  }
  if (manifest.chain > 32) violate("a chain has at most 32 files", number(manifest.chain));
  if (hourly > world_.settings.recovery_history)
    violate("hourly points are as many as asked for", number(hourly));
  if (on_demand > 4) violate("at most four points on demand are kept", number(on_demand));
}

void Oracle::check_point(const PointOnDisk& point, bool wholly) {
  ++points_checked;
  const auto cut = cuts_.find(point.sequence);
  if (cut == cuts_.end()) return violate("a listed point was cut", "point " + number(point.sequence));
  if (cut->second.at.us != point.cut_us)
    violate("a listed point has the time of its cut", number(static_cast<uint64_t>(point.cut_us)) +
                                                          " instead of " +
                                                          number(static_cast<uint64_t>(cut->second.at.us)));
  check_contents(point.sequence, "-" + number(point.generation) + "-" + number(point.sequence), wholly,
                 "a listed point equals the primary at one instant");
}

void Oracle::check_contents(uint64_t sequence, const std::string& file, bool wholly,
                            const std::string& check) {
  const Contents& contents = cuts_.at(sequence).contents;
  for (size_t disk = 0; disk < world_.disks.size(); ++disk) {
    const DiskGeometry& geometry = world_.disks[disk];
    const ChainReader chain(world_.replica().files, world_.directory(), geometry.target + file + ".qcow2");
    const Excuse excused = excuse(static_cast<uint32_t>(disk));
    for (uint64_t block = 0; block < blocks_of(geometry); ++block) {
      const uint64_t want = contents[disk][block];
      const uint64_t length = std::min(kBlock, geometry.size - block * kBlock);
      const BlockFound found = chain.block(block * kBlock, length, want, wholly, excused);
      if (found.good) continue;
      return violate(check, "point " + number(sequence) + " disk " + geometry.target + " block " +
                                number(block) + ": " + found.what + ", the primary had " + number(want));
    }
  }
}

void Oracle::cancelled(const core::State& engine, const Uuid& id) {
  const Job* job = core::find_job(engine, id);
  if (job == nullptr || job->state != JobState::terminated)
    return violate("a job that was cancelled has ended", id.lower() + " has not");
  if (job->type != JobType::initiate_failover || world_.faults.flipped()) return;
  const auto held = manifest();
  if (engine.phase != core::Phase::standby || !held || held->failover)
    violate("a failover that was cancelled has changed nothing", std::string(core::phase_name(engine.phase)));
}

// What a VM begins with after a failover is the point that was asked for.
void Oracle::check_active(const ManifestOnDisk& manifest) {
  const std::string check = "a failover is to the point that was asked for";
  if (!asked_.nil() && manifest.failover->point != asked_.lower())
    return violate(check, manifest.failover->point + " instead of " + asked_.lower());
  for (const PointOnDisk& point : manifest.points)
    if (point.id == manifest.failover->point) return check_contents(point.sequence, "-active", true, check);
  violate(check, manifest.failover->point + " is not listed");
}

void Oracle::check_holds() {
  const core::State& engine = world_.primary().engine();
  const bool settled = engine.phase == core::Phase::halted && engine.obligations.hold.empty();
  if (world_.primary().up() && settled && engine.failover && !world_.primary().hypervisor.vm.held)
    violate("a primary that knows of the failover is held", "it is not");
  const Host& replica = world_.replica();
  const Vm& vm = replica.hypervisor.vm;
  if (!vm.ours || vm.held || violation_) return;
  // Between being defined and being held it has no disk to start from.
  if (!seen_ || seen_->points.empty()) return;
  if (!seen_->failover) violate("a replica is held unless it is failed over", "not held");
}

}  // namespace understudy::sim
