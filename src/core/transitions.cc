#include "core/transitions.h"

#include "core/rules.h"

namespace understudy::core {
namespace {
using enum Phase;
using namespace rules;

constexpr std::nullopt_t any = std::nullopt;
constexpr std::nullopt_t same = std::nullopt;

// One line a case: in this phase, on this event, if this holds, go there and do that. First fit wins.
#define ROW(from, event, guard, to, rule) \
  { from, Is<event>::index, #guard, guard, to, #rule, rule }
// clang-format off
constexpr Transition kTable[] = {
  // --- method calls: checks in the documented order 32777, 32774, 32775, 32773 of the point ---
  ROW(any,          CreateCall,      hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          StartCall,       hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          FailoverCall,    hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          PowerCall,       hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          RevertCall,      hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          StateCall,       hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          ResyncCall,      hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          PointCall,       hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          RemoveCall,      hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          NetworkCall,     hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          ModifyCall,      hypervisor_unknown,   same,         refuse_unavailable),
  ROW(any,          CreateCall,      busy,                 same,         refuse_busy),
  ROW(any,          StartCall,       busy,                 same,         refuse_busy),
  ROW(any,          FailoverCall,    busy,                 same,         refuse_busy),
  ROW(any,          PowerCall,       busy,                 same,         refuse_busy),
  ROW(any,          RevertCall,      busy,                 same,         refuse_busy),
  ROW(any,          StateCall,       busy,                 same,         refuse_busy),
  ROW(any,          ResyncCall,      busy,                 same,         refuse_busy),
  ROW(any,          PointCall,       busy,                 same,         refuse_busy),
  ROW(any,          RemoveCall,      busy,                 same,         refuse_busy),
  ROW(any,          NetworkCall,     busy,                 same,         refuse_busy),
  ROW(any,          ModifyCall,      busy,                 same,         refuse_busy),
  ROW(none,         CreateCall,      always,               creating,     create),
  ROW(any,          CreateCall,      always,               same,         refuse_state),
  ROW(ready,        StartCall,       always,               idle,         start_first_copy),
  ROW(any,          StartCall,       always,               same,         refuse_state),
  ROW(standby,      FailoverCall,    vm_runs,              standby,      refuse_running),
  ROW(standby,      FailoverCall,    files_missing,        standby,      refuse_files),
  ROW(standby,      FailoverCall,    point_unknown,        standby,      refuse_point),
  ROW(standby,      FailoverCall,    always,               stopping,     begin_failover),
  ROW(any,          FailoverCall,    always,               same,         refuse_state),
  ROW(failed_over,  RevertCall,      vm_runs,              failed_over,  refuse_running),
  ROW(failed_over,  RevertCall,      files_missing,        failed_over,  refuse_files),
  ROW(failed_over,  RevertCall,      always,               reverting,    begin_revert),
  ROW(any,          RevertCall,      always,               same,         refuse_state),
  ROW(ready,        RemoveCall,      always,               ending,       end_replication),
  ROW(idle,         RemoveCall,      always,               ending,       end_replication),
  ROW(queued,       RemoveCall,      always,               ending,       end_replication),
  ROW(unsynced,     RemoveCall,      always,               ending,       end_replication),
  ROW(halted,       RemoveCall,      always,               ending,       end_replication),
  ROW(inventory,    RemoveCall,      always,               same,         want_end),
  ROW(cutting,      RemoveCall,      always,               same,         want_end),
  ROW(sending,      RemoveCall,      always,               same,         want_end),
  ROW(settling,     RemoveCall,      always,               same,         want_end),
  ROW(waiting,      RemoveCall,      staging_busy,         same,         refuse_receiving),
  ROW(standby,      RemoveCall,      staging_busy,         same,         refuse_receiving),
  ROW(waiting,      RemoveCall,      always,               retiring,     begin_retiring),
  ROW(standby,      RemoveCall,      always,               retiring,     begin_retiring),
  ROW(failed_over,  RemoveCall,      always,               retiring,     begin_retiring),
  ROW(any,          RemoveCall,      always,               same,         refuse_state),
  ROW(idle,         StateCall,       suspends,             settling,     suspend_and_give_way),
  ROW(queued,       StateCall,       suspends,             settling,     suspend_and_give_way),
  ROW(any,          StateCall,       suspends,             same,         suspend),
  ROW(halted,       StateCall,       resumes,              idle,         resume_replication),
  ROW(any,          StateCall,       resumes,              same,         resume_replication),
  ROW(idle,         StateCall,       cancels_resync,       settling,     cancel_and_give_way),
  ROW(queued,       StateCall,       cancels_resync,       settling,     cancel_and_give_way),
  ROW(any,          StateCall,       cancels_resync,       same,         cancel_resync),
  ROW(any,          StateCall,       always,               same,         refuse_state),
  ROW(unsynced,     ResyncCall,      can_resync,           settling,     ask_for_resync),
  ROW(idle,         ResyncCall,      can_resync,           settling,     ask_for_resync),
  ROW(any,          ResyncCall,      resync_waits,         same,         want_resync),
  ROW(any,          ResyncCall,      always,               same,         refuse_state),
  ROW(any,          PointCall,       can_make_point,       same,         want_point),
  ROW(any,          PointCall,       always,               same,         refuse_state),
  ROW(any,          ModifyCall,      modified_meanwhile,   same,         refuse_modified),
  ROW(any,          ModifyCall,      can_modify,           same,         modify),
  ROW(any,          ModifyCall,      always,               same,         refuse_state),
  ROW(any,          CancelCall,      job_has_ended,        same,         refuse_ended),
  ROW(stopping,     CancelCall,      cancels_failover,     standby,      cancel_failover),
  ROW(idle,         CancelCall,      cancels_comparison,   settling,     cancel_comparison_and_give_way),
  ROW(queued,       CancelCall,      cancels_comparison,   settling,     cancel_comparison_and_give_way),
  ROW(any,          CancelCall,      cancels_comparison,   same,         cancel_comparison),
  ROW(any,          CancelCall,      cancels_point,        same,         cancel_point),
  ROW(any,          CancelCall,      always,               same,         refuse_cancel),
  ROW(any,          StatisticsCall,  is_replicated,        same,         reset_statistics),
  ROW(any,          StatisticsCall,  always,               same,         refuse_state),
  ROW(any,          NetworkCall,     is_replicated,        same,         set_network),
  ROW(any,          NetworkCall,     always,               same,         refuse_state),
  ROW(any,          Checked,         is_replicated,        same,         note_checked),
  ROW(any,          PowerCall,       power_is_so,          same,         refuse_power),
  ROW(any,          PowerCall,       start_is_held,        same,         refuse_held),
  ROW(any,          PowerCall,       always,               same,         change_power),
  ROW(any,          PowerChanged,    always,               same,         power_changed),

  // --- not replicated: what is known of finished jobs goes with the last of them ---
  ROW(none,         Started,         always,               none,         forget_jobs),
  ROW(none,         TimerDue,        always,               none,         forget_jobs),

  // --- primary: the relationship is made ---
  ROW(creating,     Started,         always,               creating,     prepare_peer),
  ROW(creating,     PreparedPeer,    not_awaited,          creating,     nothing),
  ROW(creating,     PreparedPeer,    ok,                   ready,        created),
  ROW(creating,     PreparedPeer,    always,               none,         create_failed),

  // --- primary: the cycle ---
  ROW(idle,         Started,         always,               idle,         resume),
  ROW(inventory,    Started,         always,               idle,         resume),
  ROW(queued,       Started,         always,               idle,         resume),
  ROW(cutting,      Started,         always,               idle,         resume),
  ROW(sending,      Started,         always,               idle,         resume),
  ROW(settling,     Started,         always,               idle,         resume),
  ROW(idle,         HypervisorNews,  scratch_trouble,      settling,     end_stale_job),
  ROW(idle,         HypervisorNews,  vm_started,           idle,         due_now),
  ROW(idle,         TimerDue,        ends,                 ending,       end_replication),
  ROW(idle,         TimerDue,        owes_while_stopped,   settling,     settle),
  ROW(idle,         TimerDue,        suspended,            idle,         nothing),
  ROW(idle,         TimerDue,        always,               inventory,    take_inventory),
  ROW(inventory,    Inventoried,     not_awaited,          inventory,    nothing),
  ROW(inventory,    Inventoried,     ends,                 ending,       end_replication),
  ROW(inventory,    Inventoried,     vm_unknown,           idle,         back_off),
  ROW(inventory,    Inventoried,     vm_gone,              halted,       halt_vm_gone),
  ROW(inventory,    Inventoried,     replica_failing_over, idle,         back_off_failover),
  ROW(inventory,    Inventoried,     replica_failed_over,  halted,       halt_failed_over),
  ROW(inventory,    Inventoried,     cut_acknowledged,     settling,     acknowledged),
  ROW(inventory,    Inventoried,     failover_given_up,    settling,     lift_own_hold),
  ROW(inventory,    Inventoried,     may_not_go_on,        settling,     give_way),
  ROW(inventory,    Inventoried,     hold_is_owed,         settling,     settle),
  ROW(inventory,    Inventoried,     vm_off,               idle,         wait_for_vm),
  ROW(inventory,    Inventoried,     obligations_pending,  settling,     settle),
  ROW(inventory,    Inventoried,     job_is_stale,         settling,     end_stale_job),
  ROW(inventory,    Inventoried,     replica_unreachable,  idle,         back_off),
  ROW(inventory,    Inventoried,     replica_paused,       idle,         back_off_paused),
  ROW(inventory,    Inventoried,     replica_gone,         halted,       halt_gone),
  ROW(inventory,    Inventoried,     replica_elsewhere,    settling,     lose_sequence),
  ROW(inventory,    Inventoried,     base_lost,            settling,     lose_base),
  ROW(inventory,    Inventoried,     disks_changed,        settling,     lose_changed_disks),
  ROW(inventory,    Inventoried,     compares_with_another, settling,    compare_with_what_is_there),
  ROW(inventory,    Inventoried,     first_copy_lost,      settling,     restart_first_copy),
  ROW(inventory,    Inventoried,     passes_lost,          settling,     restart_first_copy),
  ROW(inventory,    Inventoried,     cut_is_void,          settling,     abandon_cut),
  ROW(inventory,    Inventoried,     foreign_job,          idle,         back_off_foreign_job),
  ROW(inventory,    Inventoried,     always,               queued,       request_slot),
  ROW(queued,       HypervisorNews,  scratch_trouble,      settling,     end_stale_job),
  ROW(queued,       SlotGranted,     job_still_open,       sending,      send_again),
  ROW(queued,       SlotGranted,     always,               cutting,      open_job),
  ROW(cutting,      JobOpened,       not_awaited,          cutting,      nothing),
  ROW(cutting,      JobOpened,       ends,                 ending,       end_replication),
  ROW(cutting,      JobOpened,       may_not_go_on,        settling,     give_way),
  ROW(cutting,      JobOpened,       ok,                   sending,      send_cut),
  ROW(cutting,      JobOpened,       always,               settling,     cut_failed),
  ROW(sending,      HypervisorNews,  scratch_trouble,      sending,      protect_guest),
  ROW(sending,      TimerDue,        cut_is_pass,          sending,      stop_sending),
  ROW(sending,      Sent,            not_awaited,          sending,      nothing),
  ROW(sending,      Sent,            ends,                 ending,       end_replication),
  ROW(sending,      Sent,            sent_pass,            settling,     pass_sent),
  ROW(sending,      Sent,            sent_delta,           settling,     acknowledged),
  ROW(sending,      Sent,            may_not_go_on,        settling,     give_way),
  ROW(sending,      Sent,            obligations_pending,  settling,     send_interrupted),
  ROW(sending,      Sent,            sent_for_nothing,     settling,     doubt_cut),
  ROW(sending,      Sent,            always,               idle,         send_failed),
  ROW(settling,     Settled,         not_awaited,          settling,     nothing),
  ROW(settling,     Settled,         ends,                 ending,       end_replication),
  ROW(settling,     Settled,         settled_unsynced,     unsynced,     wait_for_resync),
  ROW(settling,     Settled,         ok,                   idle,         settled),
  ROW(settling,     Settled,         always,               idle,         settle_failed),

  // --- primary: what changed is not known ---
  ROW(unsynced,     Started,         always,               unsynced,     wait_for_resync),
  ROW(unsynced,     HypervisorNews,  vm_started,           unsynced,     wait_for_resync),
  ROW(unsynced,     TimerDue,        obligations_pending,  settling,     settle),
  ROW(unsynced,     TimerDue,        resync_due,           settling,     begin_resync),
  ROW(unsynced,     TimerDue,        always,               unsynced,     wait_for_resync),

  // --- primary: halted, with obligations left ---
  ROW(halted,       Started,         obligations_pending,  halted,       settle_again),
  ROW(halted,       TimerDue,        obligations_pending,  halted,       settle_again),
  ROW(halted,       Settled,         always,               halted,       halted_settled),

  // --- primary: removed ---
  ROW(ending,       Started,         always,               ending,       settle_again),
  ROW(ending,       TimerDue,        always,               ending,       settle_again),
  ROW(ending,       Settled,         not_awaited,          ending,       nothing),
  ROW(ending,       Settled,         ok,                   none,         removed),
  ROW(ending,       Settled,         always,               ending,       end_later),

  // --- replica: made ---
  ROW(none,         PrepareAsk,      always,               preparing,    prepare_replica),
  ROW(waiting,      PrepareAsk,      other_peer,           waiting,      refuse_peer),
  ROW(waiting,      PrepareAsk,      staging_busy,         waiting,      refuse_begin_busy),
  ROW(waiting,      PrepareAsk,      prepared_already,     waiting,      answer_prepared),
  ROW(waiting,      PrepareAsk,      always,               preparing,    prepare_replica),
  ROW(any,          PrepareAsk,      always,               same,         refuse_prepare),
  ROW(preparing,    Started,         always,               preparing,    prepare_replica_again),
  ROW(preparing,    PreparedReplica, not_awaited,          preparing,    nothing),
  ROW(preparing,    PreparedReplica, ok,                   waiting,      replica_prepared),
  ROW(preparing,    PreparedReplica, replica_was_there,    none,         leave_as_found),
  ROW(preparing,    PreparedReplica, always,               retiring,     prepare_failed),

  // --- replica: receiving ---
  ROW(any,          QueryAsk,        other_peer,           same,         refuse_peer),
  ROW(any,          QueryAsk,        always,               same,         answer_query),
  ROW(any,          BeginAsk,        other_peer,           same,         refuse_peer),
  ROW(any,          BeginAsk,        suspended,            same,         refuse_begin_paused),
  ROW(any,          BeginAsk,        takes_over_midway,    same,         refuse_takeover),
  ROW(waiting,      BeginAsk,        staging_busy,         waiting,      refuse_begin_busy),
  ROW(standby,      BeginAsk,        staging_busy,         standby,      refuse_begin_busy),
  ROW(waiting,      BeginAsk,        always,               waiting,      open_staging),
  ROW(standby,      BeginAsk,        always,               standby,      open_staging),
  ROW(any,          BeginAsk,        always,               same,         refuse_begin),
  ROW(waiting,      StagingOpened,   always,               waiting,      staging_opened),
  ROW(standby,      StagingOpened,   always,               standby,      staging_opened),
  ROW(any,          FinishAsk,       other_peer,           same,         refuse_peer),
  ROW(waiting,      FinishAsk,       staging_busy,         waiting,      refuse_finish),
  ROW(standby,      FinishAsk,       staging_busy,         standby,      refuse_finish),
  ROW(waiting,      FinishAsk,       always,               waiting,      publish),
  ROW(standby,      FinishAsk,       always,               standby,      publish),
  ROW(any,          FinishAsk,       always,               same,         refuse_finish),
  ROW(waiting,      Published,       ok,                   standby,      published),
  ROW(standby,      Published,       ok,                   standby,      published),
  ROW(waiting,      Published,       always,               waiting,      publish_failed),
  ROW(standby,      Published,       always,               standby,      publish_failed),
  ROW(waiting,      ReceiveFailed,   always,               waiting,      receive_failed),
  ROW(standby,      ReceiveFailed,   always,               standby,      receive_failed),
  ROW(standby,      Merged,          always,               standby,      merged),
  ROW(waiting,      Started,         always,               waiting,      nothing),
  ROW(standby,      Started,         always,               standby,      resume_replica),

  // --- replica: failover. Receiving and merging end first, then the generation rises, then the hold goes ---
  ROW(stopping,     Started,         always,               stopping,     stop_receiving),
  ROW(stopping,     StagingOpened,   always,               stopping,     note_end_and_stop),
  ROW(stopping,     Published,       always,               stopping,     note_end_and_stop),
  ROW(stopping,     Merged,          always,               stopping,     note_end_and_stop),
  ROW(stopping,     Stopped,         not_awaited,          stopping,     nothing),
  ROW(stopping,     Stopped,         point_delisted,       standby,      point_lost),
  ROW(stopping,     Stopped,         always,               failing_over, fail_over),
  ROW(failing_over, Started,         always,               failing_over, fail_over_again),
  ROW(failing_over, FailedOver,      not_awaited,          failing_over, nothing),
  ROW(failing_over, FailedOver,      ok,                   releasing,    release),
  ROW(failing_over, FailedOver,      failover_undone,      standby,      failover_failed),
  ROW(failing_over, FailedOver,      always,               failing_over, failover_unknown),
  ROW(failing_over, TimerDue,        always,               failing_over, fail_over_again),
  ROW(releasing,    Started,         always,               releasing,    release),
  ROW(releasing,    TimerDue,        always,               releasing,    release),
  ROW(releasing,    Released,        not_awaited,          releasing,    nothing),
  ROW(releasing,    Released,        ok,                   failed_over,  failover_done),
  ROW(releasing,    Released,        always,               releasing,    release_failed),

  ROW(releasing,    HypervisorNews,  always,               releasing,    note_run),
  ROW(failed_over,  HypervisorNews,  always,               failed_over,  note_run),

  // --- replica: its guest is given its network settings, once, when its agent answers ---
  ROW(failed_over,  Started,         always,               failed_over,  give_network_again),
  ROW(failed_over,  TimerDue,        network_is_due,       failed_over,  give_network),
  ROW(failed_over,  NetworkGiven,    network_not_awaited,  failed_over,  nothing),
  ROW(failed_over,  NetworkGiven,    network_ok,           failed_over,  network_given),
  ROW(failed_over,  NetworkGiven,    guest_is_off,         failed_over,  network_waits),
  ROW(failed_over,  NetworkGiven,    agent_is_silent,      failed_over,  ask_agent_again),
  ROW(failed_over,  NetworkGiven,    always,               failed_over,  network_refused),

  // --- replica: the failover is taken back ---
  ROW(reverting,    Started,         always,               reverting,    revert_again),
  ROW(reverting,    TimerDue,        always,               reverting,    revert_again),
  ROW(reverting,    Reverted,        not_awaited,          reverting,    nothing),
  ROW(reverting,    Reverted,        ok,                   standby,      reverted),
  ROW(reverting,    Reverted,        failover_stands,      releasing,    revert_failed),
  ROW(reverting,    Reverted,        always,               reverting,    revert_unknown),

  // --- replica: removed ---
  ROW(retiring,     Started,         always,               retiring,     retire_again),
  ROW(retiring,     TimerDue,        always,               retiring,     retire_again),
  ROW(retiring,     Retired,         not_awaited,          retiring,     nothing),
  ROW(retiring,     Retired,         ok,                   none,         removed),
  ROW(retiring,     Retired,         always,               retiring,     retire_later),
};
// clang-format on
#undef ROW

}  // namespace

std::span<const Transition> transitions() {
  return kTable;
}

std::string transitions_as_markdown() {
  std::string text = "| phase | event | if | next | rule |\n|---|---|---|---|---|\n";
  for (const Transition& row : kTable) {
    text += "| " + std::string(row.from ? phase_name(*row.from) : "any") + " | " +
            std::string(event_name(row.event)) + " | " + std::string(row.guard_name) + " | " +
            std::string(row.to ? phase_name(*row.to) : "same") + " | " + std::string(row.rule_name) + " |\n";
  }
  return text;
}

}  // namespace understudy::core
