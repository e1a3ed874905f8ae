// All commands of `understudy`. Each is a function of a session and its arguments; its output goes to the
// session.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/session.h"

namespace understudy::cli {

std::span<const Command> all_commands();
std::span<const Option> global_options();

// server_commands.cc
Status server_enable(Session& session, const Arguments& arguments);
Status server_show(Session& session, const Arguments& arguments);
Status authorize(Session& session, const Arguments& arguments);
Status unauthorize(Session& session, const Arguments& arguments);
Status authorizations(Session& session, const Arguments& arguments);
// replication_commands.cc
Status enable(Session& session, const Arguments& arguments);
Status set(Session& session, const Arguments& arguments);
Status start(Session& session, const Arguments& arguments);
Status connection_test(Session& session, const Arguments& arguments);
// show_commands.cc
Status list(Session& session, const Arguments& arguments);
Status show(Session& session, const Arguments& arguments);
// watch_command.cc
Status watch(Session& session, const Arguments& arguments);
// report_command.cc
Status report(Session& session, const Arguments& arguments);
// check_command.cc
Status check(Session& session, const Arguments& arguments);
// failover_command.cc
Status failover(Session& session, const Arguments& arguments);
Status revert(Session& session, const Arguments& arguments);
Status remove(Session& session, const Arguments& arguments);
// failover_all.cc
Status failover_all(Session& session, const Arguments& arguments);
// point_commands.cc
Status point_list(Session& session, const Arguments& arguments);
Status point_create(Session& session, const Arguments& arguments);
// control_commands.cc
Status pause(Session& session, const Arguments& arguments);
Status resume(Session& session, const Arguments& arguments);
Status resync(Session& session, const Arguments& arguments);
// network_commands.cc
Status network_set(Session& session, const Arguments& arguments);
Status network_show(Session& session, const Arguments& arguments);
// job_commands.cc
Status job_list(Session& session, const Arguments& arguments);
Status job_show(Session& session, const Arguments& arguments);
Status job_cancel(Session& session, const Arguments& arguments);
// vm_commands.cc
Status vm_start(Session& session, const Arguments& arguments);
Status vm_stop(Session& session, const Arguments& arguments);
// certificate_commands.cc
Status certificate_authority(Session& session, const Arguments& arguments);
Status certificate_host(Session& session, const Arguments& arguments);
Status certificate_offer(Session& session, const Arguments& arguments);
Status certificate_accept(Session& session, const Arguments& arguments);
Status certificate_revoke(Session& session, const Arguments& arguments);
Status certificate_show(Session& session, const Arguments& arguments);
// user_commands.cc
Status user_add(Session& session, const Arguments& arguments);
// store_commands.cc
Status store_list(Session& session, const Arguments& arguments);
Status store_check(Session& session, const Arguments& arguments);
Status store_export(Session& session, const Arguments& arguments);
Status store_recover(Session& session, const Arguments& arguments);

// The whole program: parses, runs, prints what went wrong, and gives the exit code.
using OpenManagement =
    std::function<Result<std::unique_ptr<Management>>(const Arguments& arguments, const Console& console)>;
int run(const std::vector<std::string>& words, Console& console, Waiter& waiter, const OpenManagement& open);

}  // namespace understudy::cli
