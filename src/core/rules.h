// Guards and rules of transitions.cc. Guards look, rules act; neither knows of the other's rows.
#pragma once

#include "core/step.h"

namespace understudy::core::rules {

// --- method calls (calls.cc) ---
bool always(const Step&);
bool hypervisor_unknown(const Step&);
bool busy(const Step&);
bool power_is_so(const Step&);
bool start_is_held(const Step&);
bool point_unknown(const Step&);
void refuse_unavailable(Step&);
void refuse_busy(Step&);
void refuse_state(Step&);
void refuse_receiving(Step&);
void refuse_power(Step&);
void refuse_held(Step&);
void refuse_point(Step&);
void create(Step&);
void start_first_copy(Step&);
void begin_failover(Step&);
bool vm_runs(const Step&);
void refuse_running(Step&);
void begin_revert(Step&);
void change_power(Step&);
void power_changed(Step&);
bool can_modify(const Step&);
bool modified_meanwhile(const Step&);
void refuse_modified(Step&);
void modify(Step&);
void note_checked(Step&);
bool is_replicated(const Step&);
void reset_statistics(Step&);
void nothing(Step&);
bool files_missing(const Step&);
void refuse_files(Step&);
void forget_jobs(Step&);

// --- a job is cancelled (cancel.cc) ---
bool job_has_ended(const Step&);
bool cancels_failover(const Step&);
bool cancels_comparison(const Step&);
bool cancels_point(const Step&);
void refuse_ended(Step&);
void refuse_cancel(Step&);
void cancel_failover(Step&);
void cancel_comparison(Step&);
void cancel_comparison_and_give_way(Step&);
void cancel_point(Step&);

// --- a primary (primary.cc) ---
bool ok(const Step&);           // the awaited action succeeded
bool not_awaited(const Step&);  // a result nobody waits for
bool vm_unknown(const Step&);
bool obligations_pending(const Step&);
bool hold_is_owed(const Step&);
bool our_job_open(const Step&);
bool job_is_stale(const Step&);
bool replica_unreachable(const Step&);
bool replica_failing_over(const Step&);
bool replica_failed_over(const Step&);
bool replica_gone(const Step&);
bool cut_acknowledged(const Step&);
bool vm_gone(const Step&);
bool vm_off(const Step&);
bool first_copy_lost(const Step&);
bool passes_lost(const Step&);
bool foreign_job(const Step&);
bool cut_is_void(const Step&);
bool job_still_open(const Step&);
bool sent_pass(const Step&);
bool sent_delta(const Step&);
bool sent_for_nothing(const Step&);
bool vm_started(const Step&);
bool scratch_trouble(const Step&);
bool cut_is_pass(const Step&);
void prepare_peer(Step&);
void created(Step&);
void create_failed(Step&);
void resume(Step&);
void take_inventory(Step&);
void due_now(Step&);
void back_off(Step&);
void wait_for_vm(Step&);
void back_off_foreign_job(Step&);
void back_off_failover(Step&);
void settle(Step&);
void end_stale_job(Step&);
void halt_failed_over(Step&);
void halt_gone(Step&);
void halt_vm_gone(Step&);
void restart_first_copy(Step&);
void abandon_cut(Step&);
void doubt_cut(Step&);
void request_slot(Step&);
void open_job(Step&);
void send_again(Step&);
void send_cut(Step&);
void cut_failed(Step&);
void pass_sent(Step&);
void acknowledged(Step&);
void send_failed(Step&);
void send_interrupted(Step&);
void stop_sending(Step&);
void protect_guest(Step&);
void settled(Step&);
void settle_failed(Step&);
void settle_again(Step&);  // what is left, without leaving the phase
void halted_settled(Step&);

// --- points of a primary (points.cc) ---
bool can_make_point(const Step&);
bool point_is_wanted(const Step&);
void want_point(Step&);

// --- what is not known to have changed, and what an operator asks of a relationship (resync.cc) ---
bool disks_changed(const Step&);
bool base_lost(const Step&);
bool replica_elsewhere(const Step&);
bool compares_with_another(const Step&);
bool resync_due(const Step&);
bool resync_waits(const Step&);
bool settled_unsynced(const Step&);
bool can_resync(const Step&);
bool suspends(const Step&);
bool cancels_resync(const Step&);
bool resumes(const Step&);
bool suspended(const Step&);
bool may_not_go_on(const Step&);
bool owes_while_stopped(const Step&);
bool replica_paused(const Step&);
bool failover_given_up(const Step&);
void lose_changed_disks(Step&);
void lose_base(Step&);
void lose_sequence(Step&);
void compare_with_what_is_there(Step&);
void begin_resync(Step&);
void wait_for_resync(Step&);
void ask_for_resync(Step&);
void want_resync(Step&);
void suspend(Step&);
void suspend_and_give_way(Step&);
void cancel_resync(Step&);
void cancel_and_give_way(Step&);
void give_way(Step&);
void resume_replication(Step&);
void back_off_paused(Step&);
void lift_own_hold(Step&);

// --- a replica (replica.cc) ---
bool other_peer(const Step&);
bool takes_over_midway(const Step&);
bool staging_busy(const Step&);
bool point_delisted(const Step&);
void prepare_replica(Step&);
bool prepared_already(const Step& step);
void answer_prepared(Step& step);
void prepare_replica_again(Step&);
void replica_prepared(Step&);
bool replica_was_there(const Step&);
void leave_as_found(Step&);
void prepare_failed(Step&);
void refuse_prepare(Step&);
void answer_query(Step&);
void refuse_peer(Step&);
void refuse_takeover(Step&);
void refuse_begin(Step&);
void refuse_begin_busy(Step&);
void refuse_begin_paused(Step&);
void receive_failed(Step&);
void refuse_finish(Step&);
void open_staging(Step&);
void staging_opened(Step&);
void publish(Step&);
void published(Step&);
void publish_failed(Step&);
void merged(Step&);
void resume_replica(Step&);
void stop_receiving(Step&);
void note_end_and_stop(Step&);
void fail_over(Step&);
void fail_over_again(Step&);
void point_lost(Step&);
bool failover_undone(const Step&);
void failover_unknown(Step&);
void failover_failed(Step&);
void release(Step&);
void release_failed(Step&);
void failover_done(Step&);
bool failover_stands(const Step&);
void revert_again(Step&);
void reverted(Step&);
void revert_failed(Step&);
void revert_unknown(Step&);
void note_run(Step&);

// --- the network settings of a guest (network.cc) ---
void set_network(Step&);
bool network_is_due(const Step&);
bool network_not_awaited(const Step&);
bool network_ok(const Step&);
bool guest_is_off(const Step&);
bool agent_is_silent(const Step&);
void give_network(Step&);
void give_network_again(Step&);
void network_given(Step&);
void network_waits(Step&);
void network_refused(Step&);
void ask_agent_again(Step&);

// --- the end of a relationship, on either side (removal.cc) ---
bool ends(const Step&);
void end_replication(Step&);
void want_end(Step&);
void end_later(Step&);
void begin_retiring(Step&);
void retire_again(Step&);
void retire_later(Step&);
void removed(Step&);

}  // namespace understudy::core::rules
