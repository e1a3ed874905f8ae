#include "cli/commands.h"

#include <ostream>

#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr Option kGlobal[] = {
    {"host", "HOST[:PORT]", "the daemon to talk to, over HTTPS (port 5986); default: this host's socket"},
    {"user", "NAME", "log in with a password: UNDERSTUDY_PASSWORD, or asked for"},
    {"cert", "FILE", "log in with a client certificate"},
    {"key", "FILE", "its key"},
    {"ca", "FILE", "who may have signed the host's certificate; default: the system's authorities"},
    {"socket", "PATH",
     "the socket of the daemon here; default UNDERSTUDY_SOCKET or /run/understudy/wsman.sock"},
    {"json", "", "print the objects as JSON"},
    {"wait", "", "wait for the job, with progress (default)"},
    {"no-wait", "", "return as soon as the job is accepted"},
    {"help", "", "print help"},
    {"version", "", "print the version"},
};

constexpr Option kServerEnable[] = {
    {"port", "N", "where this host listens for replication (443)"},
    {"certificate", "THUMBPRINT", "SHA-256 of this host's certificate; default: the configured one"},
};
constexpr Option kAuthorize[] = {
    {"storage", "DIR", "where replicas from this primary are kept (required)"},
    {"trust-group", "TAG", "primaries of one group may take over each other's replicas"},
};
constexpr Option kEnable[] = {
    {"to", "HOST[:PORT]", "the replica host (required)"},
    {"interval", "SECONDS", "30, 300 or 900 (300)"},
    {"history", "N", "hourly recovery points to keep beside the latest, 0 to 24 (0)"},
    {"disks", "LIST", "only these disks, as the guest definition names them: vda,vdb"},
    {"certificate", "THUMBPRINT", "of this host's certificate; default: the one of the service settings"},
    {"start", "", "start the first copy at once"},
};
constexpr Option kFailover[] = {
    {"point", "ID", "the recovery point, as `understudy show` lists it; default: the latest"},
    {"yes", "", "do not ask"},
};
constexpr Option kAuthorityOptions[] = {
    {"name", "NAME", "common name of the authority (understudy-authority)"},
};
constexpr Option kCertificateHost[] = {
    {"authority", "DIR", "the folder of the authority (required)"},
    {"out", "DIR", "where host.crt, host.key and authority.crt are written (required)"},
};
constexpr Option kUserAdd[] = {
    {"role", "ROLE", "reader, operator or administrator (required)"},
    {"file", "FILE", "the password file (/etc/understudy/users)"},
};

const Command kCommands[] = {
    {"server enable", "", "Let this host receive replicas", kServerEnable, "", server_enable},
    {"server show", "", "Show the replication service of the host", {}, "", server_show},
    {"authorize", "PRIMARY", "Let a primary host send replicas here", kAuthorize,
     "PRIMARY is the name in its certificate, *.domain, or * for any that our authority has signed.",
     authorize},
    {"authorizations", "", "List the primary hosts that may send", {}, "", authorizations},
    {"enable", "VM", "Enable replication of a VM to another host", kEnable,
     "Run it on the host where the VM runs. VM is a name or a UUID.", enable},
    {"start",
     "VM",
     "Start the first copy of a VM",
     {},
     "The VM keeps running; interrupted copies go on by themselves.",
     start},
    {"list", "", "List all VMs and how their replication stands", {}, "", list},
    {"show", "VM", "Show one VM: replication, health, recovery points, jobs", {}, "", show},
    {"failover", "VM", "Make the replica on this host startable", kFailover,
     "Run it on the replica host. Says first what will be lost. The VM is not started by it.", failover},
    {"vm start", "VM", "Start a VM", {}, "", vm_start},
    {"vm stop", "VM", "Turn a VM off at once, as by pulling the plug", {}, "", vm_stop},
    {"job list", "", "List the jobs of all VMs", {}, "", job_list},
    {"job show", "ID", "Show one job and why it failed", {}, "", job_show},
    {"certificate authority", "DIR", "Make a private certificate authority", kAuthorityOptions,
     "Keep its key away from the hosts: who has it can pretend to be any of them.", certificate_authority,
     true},
    {"certificate host", "NAMES", "Make the certificate of a host", kCertificateHost,
     "NAMES are its names and addresses, separated by commas; the first is its common name.",
     certificate_host, true},
    {"certificate show", "FILE", "Show a certificate and its thumbprint", {}, "", certificate_show, true},
    {"user add", "NAME", "Add a user who logs in with a password, or change one", kUserAdd,
     "The password is asked for, or read from standard input.", user_add, true},
};

int report(const Error& error, bool json, Console& console) {
  console.err << "understudy: " << printable(error.message()) << '\n';
  if (!error.hint().empty()) console.err << "  next: " << printable(error.hint()) << '\n';
  if (json) {
    JsonObject what;
    const ErrorInfo& info = error_info(error.code());
    what.set("code", info.name);
    what.set("message", error.message());
    if (!error.hint().empty()) what.set("next", error.hint());
    JsonObject object;
    object.set("error", what);
    console.out << object.text() << '\n';
  }
  console.out.flush();
  return error_info(error.code()).exit_code;
}

Status run_parsed(const Parsed& parsed, Console& console, Waiter& waiter, const OpenManagement& open) {
  const Arguments& arguments = parsed.arguments;
  std::unique_ptr<Management> management;
  if (!parsed.command->local) {
    US_TRY(management, open(arguments, console));
  }
  if (arguments.has("wait") && arguments.has("no-wait"))
    return fail(ErrorCode::invalid_parameter, "--wait and --no-wait exclude each other");
  Session session{console, waiter, management.get(), arguments.has("json"), !arguments.has("no-wait")};
  return parsed.command->run(session, arguments);
}

}  // namespace

std::span<const Command> all_commands() {
  return kCommands;
}
std::span<const Option> global_options() {
  return kGlobal;
}

int run(const std::vector<std::string>& words, Console& console, Waiter& waiter, const OpenManagement& open) {
  if (words.size() == 1 && words[0] == "--version") {
    console.out << "understudy " << UNDERSTUDY_VERSION << std::endl;
    return 0;
  }
  const auto parsed = parse_arguments(all_commands(), global_options(), words);
  if (!parsed) return report(parsed.error(), false, console);
  if (!parsed->help.empty()) {
    console.out << parsed->help << std::flush;
    return 0;
  }
  const Status status = run_parsed(*parsed, console, waiter, open);
  if (!status) return report(status.error(), parsed->arguments.has("json"), console);
  console.out.flush();
  return 0;
}

}  // namespace understudy::cli
