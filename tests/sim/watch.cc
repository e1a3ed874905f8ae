#include "watch.h"

#include <algorithm>

#include "core/health.h"
#include "core/transitions.h"
#include "world.h"

namespace understudy::sim {
namespace {

constexpr std::array<std::string_view, kRares> kNames = {
#define SIM_RARE(name, text) text,
    SIM_RARES(SIM_RARE)
#undef SIM_RARE
};

// What taking a row means by itself.
struct Meaning {
  std::string_view rule;
  Rare rare;
};
constexpr Meaning kRules[] = {
    {"end_stale_job", Rare::stale_job},
    {"lose_changed_disks", Rare::disks_changed},
    {"refuse_takeover", Rare::takeover_refused},
    {"compare_with_what_is_there", Rare::compares_with_another},
    {"back_off_foreign_job", Rare::foreign_job},
    {"protect_guest", Rare::guest_protected},
    {"halt_failed_over", Rare::primary_halted},
    {"lift_own_hold", Rare::primary_released},
    {"back_off_failover", Rare::primary_waits},
    {"point_lost", Rare::point_lost},
    {"failover_failed", Rare::failover_undone},
    {"failover_unknown", Rare::failover_unknown},
    {"release_failed", Rare::release_failed},
    {"revert_failed", Rare::revert_failed},
    {"revert_unknown", Rare::revert_unknown},
    {"answer_prepared", Rare::prepared_twice},
    {"receive_failed", Rare::receive_failed},
    {"settle_failed", Rare::settle_failed},
    {"end_later", Rare::end_later},
    {"retire_later", Rare::retire_later},
    {"cancel_failover", Rare::failover_cancelled},
    {"cancel_comparison", Rare::comparison_cancelled},
    {"cancel_comparison_and_give_way", Rare::comparison_cancelled},
    {"cancel_point", Rare::point_cancelled},
    {"network_given", Rare::network_given},
    {"network_waits", Rare::network_waits},
    {"network_refused", Rare::network_refused},
};
constexpr Meaning kStarts[] = {
    {"fail_over_again", Rare::failover_resumed}, {"release", Rare::release_resumed},
    {"revert_again", Rare::revert_resumed},      {"prepare_replica_again", Rare::prepare_resumed},
    {"prepare_peer", Rare::create_resumed},      {"retire_again", Rare::retire_resumed},
};

bool is_giving_network(const core::State& state) {
  return std::ranges::any_of(
      state.jobs, [](const Job& job) { return job.type == JobType::give_network && !job.finished(); });
}

}  // namespace

std::string_view rare_name(Rare rare) {
  return kNames.at(static_cast<size_t>(rare));
}

void Watch::saw(Rare rare) {
  ++counts_[static_cast<size_t>(rare)];
  world_.trace.text([&] { return "rare: " + std::string(rare_name(rare)); });
}

void Watch::stepped(const Host& host, const core::State& before, const core::Event& event,
                    const core::Engine& after) {
  if (std::holds_alternative<core::Started>(event) && host.steps > 0) saw(Rare::persist_failed);
  if (after.row() == nullptr) return;
  rows_.set(static_cast<size_t>(after.row() - core::transitions().data()));
  const std::string_view rule = after.row()->rule_name;
  for (const Meaning& each : kRules)
    if (each.rule == rule) saw(each.rare);
  if (std::holds_alternative<core::Started>(event))
    for (const Meaning& each : kStarts)
      if (each.rule == rule) saw(each.rare);
  if (const auto* looked = std::get_if<core::Checked>(&event)) note_look(*looked, after.state());
  if (host.index == 0)
    primary(before, event, after);
  else
    replica(before, event, after);
}

void Watch::note_look(const core::Checked& looked, const core::State& now) {
  const auto issues = core::health_issues(now, world_.replica().clock.now().wall);
  for (const Finding& finding : looked.findings)
    if (std::ranges::none_of(issues, [&](const auto& issue) { return issue.cause == finding.cause; }))
      world_.oracle.violate("health tells what a look at the host has found", finding.cause);
}

void Watch::primary(const core::State& before, const core::Event& event, const core::Engine& after) {
  const std::string_view rule = after.row()->rule_name;
  const std::string_view guard = after.row()->guard_name;
  const core::State& now = after.state();
  if (rule == "acknowledged" && std::holds_alternative<core::Inventoried>(event)) {
    saw(Rare::reply_recognised);
  }
  if (rule == "lose_sequence")
    saw(std::get<core::Inventoried>(event).replica->sender ? Rare::another_sent : Rare::sequence_lost);
  if (rule == "abandon_cut") saw(Rare::cut_void);
  if (rule == "open_job") cut_made_at_ = world_.boots;
  if (rule == "send_again") {
    saw(Rare::cut_sent_again);
    if (cut_made_at_ != world_.boots) saw(Rare::cut_sent_after_restart);
  }
  if (rule == "restart_first_copy") saw(guard == "passes_lost" ? Rare::passes_lost : Rare::copy_lost);
  if (rule == "lose_base")
    saw(now.cause && now.cause->message().find("is gone") != std::string::npos ? Rare::base_gone
                                                                               : Rare::base_broken);
  if (rule == "cancel_resync" && before.phase == core::Phase::sending) saw(Rare::resync_cancelled);
  if (rule == "end_replication") {
    saw(before.phase == core::Phase::sending ? Rare::removed_in_transfer : Rare::primary_removed);
    if (before.failover) saw(Rare::primary_removed_held);
  }
  if (rule == "removed" && !world_.primary().hypervisor.runs()) saw(Rare::removed_off);
  if (rule == "suspend" && before.phase == core::Phase::sending) saw(Rare::paused_in_transfer);
  if (rule == "suspend" && before.phase == core::Phase::cutting) saw(Rare::paused_in_cut);
  if (rule == "begin_resync") saw(before.resync->due ? Rare::resync_scheduled : Rare::resync_by_itself);
  if (const auto* opened = std::get_if<core::JobOpened>(&event)) {
    if (!opened->job && before.cut && before.cut->keep == PointKeep::on_demand && before.point_consistent)
      saw(Rare::point_not_frozen);
    if (opened->job && opened->job->consistent) saw(Rare::point_consistent);
  }
}

void Watch::replica(const core::State& before, const core::Event& event, const core::Engine& after) {
  const std::string_view rule = after.row()->rule_name;
  if (rule == "note_end_and_stop") {
    if (std::holds_alternative<core::Merged>(event)) saw(Rare::failover_ends_merge);
    if (std::holds_alternative<core::Published>(event)) saw(Rare::failover_after_publish);
    if (std::holds_alternative<core::StagingOpened>(event)) saw(Rare::failover_after_begin);
  }
  if (const auto* stopped = std::get_if<core::Stopped>(&event))
    if (rule == "fail_over" && after.state().failover->point != stopped->points.back().id)
      saw(Rare::failover_to_old);
  if (const auto* call = std::get_if<core::FailoverCall>(&event); call != nullptr && rule == "begin_failover")
    world_.oracle.failover_asked(call->point.value_or(Uuid()));
  const bool giving = is_giving_network(after.state());
  if (rule == "give_network_again" && giving) saw(Rare::network_resumed);
  if (rule == "set_network" && is_giving_network(before) && giving && before.network != after.state().network)
    saw(Rare::network_replaced);
  if (rule == "ask_agent_again" && is_giving_network(before) && !giving) saw(Rare::agent_late);
  if (rule == "removed")
    saw(world_.replica().hypervisor.vm.defined ? Rare::replica_retired : Rare::replica_gone);
  if (rule == "begin_retiring" && !before.failover) {
    const auto held = world_.oracle.manifest();
    world_.oracle.failover_asked(held && !held->points.empty() ? *Uuid::parse(held->points.back().id)
                                                               : Uuid());
  }
  if (rule == "refuse_begin_busy" || (rule == "refuse_finish" && after.row()->guard_name == "staging_busy"))
    saw(Rare::begin_busy);
  if (rule == "refuse_begin" && before.failover) saw(Rare::old_generation);
  if (rule == "staging_opened" && before.primary_name != after.state().primary_name) saw(Rare::taken_over);
  if (rule == "publish_failed") {
    const auto& point = std::get<core::Published>(event).point;
    if (!point)
      saw(point.error().code() == ErrorCode::no_space ? Rare::publish_without_space : Rare::publish_failed);
  }
  if (rule == "published" && std::get<core::Published>(event).point->lineage == before.lineage)
    saw(Rare::finish_repeated);
  if (const auto* merged = std::get_if<core::Merged>(&event); merged != nullptr && !merged->bytes)
    saw(Rare::merge_failed);
  if (std::holds_alternative<core::Started>(event)) store_failed_ = world_.replica().store() == nullptr;
  if (rule == "published" && store_failed_) {
    saw(Rare::store_opened_later);
    store_failed_ = false;
  }
  const auto* opened = std::get_if<core::StagingOpened>(&event);
  if (opened == nullptr || !opened->cursor || *opened->cursor == Cursor{}) return;
  const auto store = world_.replica().store();
  if (store == nullptr || !store->staging()) return;
  if (store->staging()->key.kind == TransferKind::delta)
    saw(Rare::delta_resumed);
  else
    saw(store->points().empty() ? Rare::pass_resumed : Rare::resync_resumed);
}

}  // namespace understudy::sim
