// Which cut becomes which kind of point (docs/ARCHITECTURE.md, "Points"): hourly ones up to the history,
// those with a frozen guest at their own interval, and what an operator asks for.
#include "core/cycle.h"
#include "core/rules.h"

namespace understudy::core::rules {
namespace {

constexpr Duration kHour = Duration::seconds(3600);

// A clock that was set back must not keep points away until it has caught up.
bool due(Wall last, Duration every, Wall now) {
  return last.never() || now < last || now - last >= every;
}

bool freeze_due(const State& s, Wall now) {
  const uint32_t hours = s.settings.application_consistent_interval;
  if (hours == 0) return false;
  return due(s.times.last_freeze, s.freeze_failures > 0 ? kHour : kHour * hours, now);
}

}  // namespace

Freeze choose_point(Step& step, Cut& cut) {
  const State& s = step.state();
  cut.type = PointType::standard;
  const bool hourly = s.settings.recovery_history > 0 && due(s.times.last_hourly, kHour, step.now.wall);
  cut.keep = hourly ? PointKeep::hourly : PointKeep::no;
  if (s.copying()) return Freeze::no;  // no guest is frozen for what may become a pass
  if (step.running_job(JobType::create_point) != nullptr) {
    cut.keep = PointKeep::on_demand;
    return s.point_consistent ? Freeze::require : Freeze::no;
  }
  if (!freeze_due(s, step.now.wall)) return Freeze::no;
  cut.keep = PointKeep::hourly;
  return Freeze::attempt;
}

void note_freeze(Step& step, const OpenedJob& job) {
  State& s = step.state();
  Cut& cut = *s.cut;
  if (job.consistent) cut.type = PointType::application_consistent;
  if (!job.consistent && !job.freeze_error) return;
  if (cut.keep != PointKeep::on_demand) s.times.last_freeze = cut.at;
  if (job.consistent) {
    s.freeze_failures = 0;
    s.freeze_error.clear();
    return;
  }
  ++s.freeze_failures;
  ++s.statistics.freeze_failures;
  s.freeze_error = job.freeze_error->message().substr(0, 1000);
}

bool can_make_point(const Step& step) {
  const State& s = step.state();
  const auto& call = step.as<PointCall>();
  const bool at_work = s.phase >= Phase::idle && s.phase <= Phase::settling;
  return at_work && !s.suspended && !s.resync && s.first_copy_done() && call.facts.vm.power != VmPower::off;
}

bool point_is_wanted(const Step& step) {
  for (const Job& job : step.state().jobs)
    if (job.type == JobType::create_point && !job.finished()) return true;
  return false;
}

void want_point(Step& step) {
  const auto& call = step.as<PointCall>();
  State& s = step.state();
  s.point_consistent = call.consistent;
  const Uuid job =
      step.begin_job(JobType::create_point, std::string("Making ") +
                                                (call.consistent ? "an application-consistent" : "a") +
                                                " recovery point of " + s.name)
          .id;
  step.persist();
  step.act(Reply{call.call, std::optional<Uuid>(job)});
  if (s.phase == Phase::idle) step.arm({});
}

void fail_wanted_point(Step& step, const Error& error) {
  step.end_job(JobType::create_point, tl::unexpected<Error>(error));
}

}  // namespace understudy::core::rules
