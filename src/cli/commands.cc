#include "cli/commands.h"

#include <ostream>

#include "cli/completion.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr int kUsage = 2;             // exit code
constexpr uint64_t kReplicaMode = 2;  // ReplicationMode

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
    {"storage", "DIR", "where replicas from this primary are kept (required for a new one)"},
    {"trust-group", "TAG", "a host of an entry with the same TAG may take its replicas over (none)"},
};
constexpr Option kEnable[] = {
    {"to", "HOST[:PORT]", "the replica host (required)"},
    {"interval", "SECONDS", "30, 300 or 900 (300)"},
    {"history", "N", "hourly recovery points to keep beside the latest, 0 to 24 (0)"},
    {"app-consistent", "HOURS", "hours between application-consistent points, 1 to 12, 0 = none (0)"},
    {"no-auto-resync", "", "after a break wait for `understudy resync`"},
    {"disks", "LIST", "only these disks, as the guest definition names them: vda,vdb"},
    {"certificate", "THUMBPRINT", "of this host's certificate; default: the one of the service settings"},
    {"start", "", "start the first copy at once"},
};
constexpr Option kSet[] = {
    {"to", "HOST[:PORT]", "the same replica host under another name or port"},
    {"interval", "SECONDS", "30, 300 or 900"},
    {"history", "N", "hourly recovery points to keep beside the latest, 0 to 24"},
    {"app-consistent", "HOURS", "hours between application-consistent points, 1 to 12, 0 = none"},
    {"resync-window", "WINDOW", "after a break compare both sides by itself, at these hours: 22:00-06:30"},
    {"no-auto-resync", "", "after a break wait for `understudy resync`"},
    {"compression", "WORD", "on: compress what is sent where it pays; off"},
};
constexpr Option kFailover[] = {
    {"point", "ID", "the point with this id, or with an id that begins so; default: the latest"},
    {"at", "TIME", "the newest point that is not later than TIME"},
    {"from", "HOST", "with --all: the primary host, as `understudy list` shows it"},
    {"all", "", "every replica that HOST has sent to this host"},
    {"start", "", "start what is failed over"},
    {"yes", "", "do not ask"},
    {"primary-is-running", "", "fail over though the primary may still run the VM: two copies may run"},
};
constexpr Option kYes[] = {
    {"yes", "", "do not ask"},
};
constexpr Option kPointCreate[] = {
    {"application-consistent", "", "let the guest bring its files in order first; fails when it cannot"},
};
constexpr Option kNetworkSet[] = {
    {"adapter", "CARD",
     "which network card: its MAC address, or 1 for the first; needed when there are more"},
    {"address", "LIST", "addresses with their prefix: 192.0.2.7/24,2001:db8::7/64"},
    {"gateway", "LIST", "gateways, the preferred one first"},
    {"dns", "LIST", "DNS servers"},
    {"dhcp", "", "IPv4 by DHCP"},
    {"clear", "", "nothing: after a failover the guest keeps what it has"},
};
constexpr Option kResync[] = {
    {"cancel", "", "end a running or waiting resynchronization"},
};
constexpr Option kAuthorityOptions[] = {
    {"name", "NAME", "common name of the authority (understudy-authority)"},
};
constexpr Option kCertificateHost[] = {
    {"authority", "DIR", "the folder of the authority (required)"},
    {"out", "DIR", "where host.crt, host.key and authority.crt are written (required)"},
};
constexpr Option kCertificateOffer[] = {
    {"authority", "DIR", "the folder of the authority (required)"},
    {"listen", "ADDRESS[:PORT]", "where the other host comes to; default: all addresses, port 8444"},
    {"minutes", "N", "how long it is waited for, 1 to 60 (15)"},
};
constexpr Option kCertificateAccept[] = {
    {"token", "TOKEN", "what the offer shows; -: it is asked for, or read from standard input (required)"},
    {"out", "DIR", "where host.crt, host.key and authority.crt are written (required)"},
};
constexpr Option kCertificateRevoke[] = {
    {"reason", "TEXT", "kept beside it"},
    {"file", "FILE", "the list (/etc/understudy/revoked)"},
};
constexpr Option kUserAdd[] = {
    {"role", "ROLES", "reader, operator or administrator; operator@UUID: on that VM only (required)"},
    {"file", "FILE", "the password file (/etc/understudy/users)"},
};

constexpr Option kReport[] = {
    {"out", "FILE", "write it there; default: understudy-report-HOST-TIME.tar.gz, in this folder"},
    {"log", "FILE", "the daemon's log, when that is a file; default: the journal of understudyd"},
    {"config", "FILE", "its settings (/etc/understudy/understudyd.toml)"},
    {"state-directory", "DIR", "where the daemon keeps its database (/var/lib/understudy)"},
};

constexpr Option kStoreExport[] = {
    {"point", "ID", "the recovery point, as `understudy store list` shows it; default: the newest"},
    {"disk", "TARGET", "which disk, vda for example; default: the first"},
    {"out", "FILE", "write it there, as a raw image"},
    {"nbd", "SOCKET", "or serve it there, read-only, until this command is stopped"},
};
constexpr Option kStoreRecover[] = {
    {"state-directory", "DIR", "where the daemon keeps its database (/var/lib/understudy)"},
    {"run-directory", "DIR", "where the daemon's socket would be (/run/understudy)"},
};

const Command kCommands[] = {
    {"server enable", "", "Let this host receive replicas", kServerEnable, "", server_enable},
    {"server show", "", "Show the replication service of the host", {}, "", server_show},
    {"authorize", "PRIMARY", "Let a primary host send replicas here", kAuthorize,
     "PRIMARY is the name in its certificate, *.domain, or * for any that our authority has signed. Who is\n"
     "authorized already keeps what is not named; another --storage counts for new replicas.",
     authorize},
    {"unauthorize",
     "PRIMARY",
     "Take the authorization of a primary host back",
     {},
     "PRIMARY is as `understudy authorizations` shows it. From now on nothing more is taken from it;\n"
     "its replicas stay on this host, with all their recovery points.",
     unauthorize},
    {"authorizations", "", "List the primary hosts that may send", {}, "", authorizations},
    {"connection test",
     "HOST:PORT",
     "Try whether this host could send replicas to another",
     {},
     "Resolves, connects, checks both certificates, and asks whether HOST takes replicas from this\n"
     "host. Nothing is changed. Without a port it is 443.",
     connection_test},
    {"enable", "VM", "Enable replication of a VM to another host", kEnable,
     "Run it on the host where the VM runs. VM is a name or a UUID. Application-consistent points\n"
     "are kept as the hourly ones are, so HOURS is not more than --history. When both sides have to\n"
     "be compared after a break, that happens by itself at any time of the day, unless\n"
     "--no-auto-resync is given.",
     enable},
    {"set", "VM", "Change how a VM is replicated", kSet,
     "Run it on the host where the VM runs. What is not named stays as it is. It holds from the next\n"
     "cycle on. With a smaller --history the oldest hourly points go with the next point. A window\n"
     "of 00:00-00:00 is the whole day, in the local time of the host.",
     set},
    {"start",
     "VM",
     "Start the first copy of a VM",
     {},
     "The VM keeps running; interrupted copies go on by themselves.",
     start},
    {"list", "", "List all VMs and how their replication stands", {}, "", list},
    {"show", "VM", "Show one VM: replication, health, recovery points, jobs", {}, "", show},
    {"watch",
     "[VM]",
     "Watch how replication stands, until Ctrl-C",
     {},
     "On a terminal the view is drawn anew each second. Elsewhere, and with --json (one document a\n"
     "line), there is a line for each change: of state, health, newest recovery point, and every ten\n"
     "percent of a job. A daemon that is restarted meanwhile is waited for.",
     watch},
    {"check",
     "[VM]",
     "Look whether a failover would work",
     {},
     "Of one VM, or of all that are replicated here. Run it on either host: the replica host needs\n"
     "nobody else, the primary host asks the other one too. Exit code 7: warnings, 8: critical.",
     check},
    {"failover", "[VM]", "Make the replica on this host startable", kFailover,
     "Run it on the replica host. Says first which point it is, how old, and what is not used.\n"
     "TIME is 2026-11-22T18:19 (local time, or with an offset such as +01:00), or an age: 10m, 2h,\n"
     "1d. ID may be cut to four characters. The VM is not started by it, unless --start is given.\n"
     "While the primary was heard within two intervals and 30 seconds it may still run the VM: --yes\n"
     "is refused then, unless --primary-is-running is given too, and on a terminal the VM's name is\n"
     "asked for.\n"
     "\n"
     "understudy failover --from HOST --all does it for every replica of a lost host. It prints its\n"
     "plan first, goes on with the others when one fails, says at the end what became of each, and\n"
     "can be run again: a VM that is failed over already is skipped.",
     failover},
    {"revert", "VM", "Take a failover back: the VM is a replica again", kYes,
     "Run it on the replica host, with the VM off. What the VM wrote since the failover is set\n"
     "aside; all recovery points stay, so that another can be chosen.",
     revert},
    {"point list",
     "VM",
     "List the recovery points of a VM, newest first",
     {},
     "Run it on the replica host. SIZE is what was received for the point.",
     point_list},
    {"point create", "VM", "Make a recovery point now, and keep it", kPointCreate,
     "Run it on the host where the VM runs.", point_create},
    {"network set", "VM", "Set what a network card of the guest is given after a failover to this host",
     kNetworkSet,
     "Run it on the replica host. The guest's agent gives it to the guest once, when the VM is started\n"
     "after the failover, or at once when it runs failed over. It replaces what was set for the card\n"
     "before. IPv6 stays automatic when no IPv6 address is given.",
     network_set},
    {"network show",
     "VM",
     "Show the network cards of a VM and what they are given after a failover",
     {},
     "",
     network_show},
    {"pause",
     "VM",
     "Stop replicating a VM for a while",
     {},
     "Its recovery points stay, and get older.",
     pause},
    {"resume", "VM", "Replicate a paused VM again, or one that stopped with an error", {}, "", resume},
    {"resync", "VM", "Compare both sides and send what differs", kResync,
     "Run it on the host where the VM runs, after `understudy pause` or when the VM's health asks\n"
     "for it. All recovery points stay. Interrupted, it goes on by itself.",
     resync},
    {"remove", "VM", "End the replication of a VM on this host", kYes,
     "Each host is told by itself. On the primary host the VM is left as if it had never been\n"
     "replicated. On the replica host it becomes an ordinary VM, off, as of the newest recovery\n"
     "point, or as it is when it is failed over; the older points end.",
     remove},
    {"vm start", "VM", "Start a VM", {}, "", vm_start},
    {"vm stop", "VM", "Turn a VM off at once, as by pulling the plug", kYes, "", vm_stop},
    {"job list", "", "List the jobs of all VMs", {}, "", job_list},
    {"job show", "ID", "Show one job and why it failed", {}, "", job_show},
    {"job cancel",
     "ID",
     "End a running job",
     {},
     "ID may be cut to what means one job. Not every job can be ended; the answer says what can be done.",
     job_cancel},
    {"certificate authority", "DIR", "Make a private certificate authority", kAuthorityOptions,
     "Keep its key away from the hosts: who has it can pretend to be any of them.", certificate_authority,
     true},
    {"certificate host", "NAMES", "Make the certificate of a host", kCertificateHost,
     "NAMES are its names and addresses, separated by commas; the first is its common name.",
     certificate_host, true},
    {"certificate offer", "NAMES", "Make the certificate of another host, by a one-time token",
     kCertificateOffer,
     "Run it as root where the authority is. It prints what to type on the other host, waits, and ends\n"
     "when that has its certificate. NAMES are as for `understudy certificate host`: the other host has\n"
     "no say in them, and its key never leaves it. With --json there are two documents, a line each: the\n"
     "offer, and what came of it.",
     certificate_offer, true},
    {"certificate accept", "HOST:PORT", "Get the certificate that another host offers", kCertificateAccept,
     "Run it as root on the host that the certificate is for. Makes its key, has it signed by who made\n"
     "the token, and writes what `understudy certificate host` writes. A word on a command line is seen by\n"
     "all users of a host: with --token - it is not. Without a port it is 8444.",
     certificate_accept, true},
    {"certificate revoke", "CERTIFICATE", "Refuse a certificate from now on", kCertificateRevoke,
     "CERTIFICATE is a file, or a thumbprint as `understudy certificate show` shows it. Of whom it is may "
     "neither\n"
     "replicate to this host, nor be replicated to, nor log in with it; open connections end. Do it on each\n"
     "host. The daemon is not asked; to take it back, take the line out of the file.",
     certificate_revoke, true},
    {"certificate show", "FILE", "Show a certificate and its thumbprint", {}, "", certificate_show, true},
    {"store list",
     "DIR",
     "List the replicas of a folder and their recovery points",
     {},
     "DIR is a replica's folder, or the one in which replicas lie. The daemon is not asked.",
     store_list,
     true},
    {"store check",
     "DIR",
     "Compare every byte of every recovery point with its checksum",
     {},
     "DIR is a replica's folder, or the one in which replicas lie. The daemon is not asked, and may run.\n"
     "Ends with an error when a point is damaged or cannot be checked.",
     store_check,
     true},
    {"store export", "DIR", "Get a disk as it was at a recovery point", kStoreExport,
     "DIR is the folder of one replica. Nothing in it is changed.", store_export, true},
    {"store recover", "DIR", "Rebuild the database of a replica host from its replicas", kStoreRecover,
     "For a host that lost its database. The daemon must not be running. The network settings of guests "
     "were in the database only: set them again.",
     store_recover, true},
    {"report", "", "Put together what a supporter has to know, without secrets", kReport,
     "Versions, settings, the state of every VM, jobs, the end of the log, certificates (not their\n"
     "keys), and of each replica its files, manifest and definition. Works with the daemon dead, too,\n"
     "and says then what is missing.",
     report},
    {"user add", "NAME", "Add a user who logs in with a password, or change one", kUserAdd,
     "The password is asked for, or read from standard input.", user_add, true},
};

// What to try after an error that does not say it itself. A user who broke off knows what he did.
std::string next_command(const Parsed& parsed, const Error& error) {
  const std::string words(parsed.command->words);
  if (error.code() == ErrorCode::cancelled) return {};
  if (error_info(error.code()).exit_code == kUsage || parsed.command->local)
    return "understudy " + words + " --help";
  if (parsed.command->arguments.find("VM") != std::string_view::npos && parsed.arguments.count() > 0)
    return "understudy show " + parsed.arguments.argument(0);
  return "understudy list";
}

// With `json` the error is the document on standard output: for a command that has printed none.
int complain(const Error& error, bool json, Console& console) {
  console.err << "understudy: " << printable(error.message()) << '\n';
  if (!error.hint().empty()) console.err << "  next: " << printable(error.hint()) << '\n';
  if (json) {
    JsonObject object;
    object.set("error", to_json(error));
    console.out << object.text() << '\n';
  }
  console.out.flush();
  return error_info(error.code()).exit_code;
}

// For the completion of a shell: what there is, from the daemon here.
std::vector<std::string> names_of(std::string_view what, const Console& console, const OpenManagement& open) {
  std::vector<std::string> names;
  const char* class_name = what == "ID"        ? "Msvm_ConcreteJob"
                           : what == "PRIMARY" ? "Msvm_ReplicationAuthorizationSettingData"
                                               : "Understudy_ReplicationStatus";
  const char* property = what == "ID"        ? "InstanceID"
                         : what == "PRIMARY" ? "AllowedPrimaryHostSystem"
                         : what == "HOST"    ? "PrimaryHost"
                                             : "ElementName";
  if (what != "VM" && what != "HOST" && what != "ID" && what != "PRIMARY") return names;
  const auto management = open(Arguments(), console);
  const auto found = management ? (*management)->enumerate(class_name) : Result<std::vector<cim::Instance>>();
  for (const cim::Instance& one : found.value_or(std::vector<cim::Instance>()))
    if (what != "HOST" || number(one, "ReplicationMode") == kReplicaMode)
      names.push_back(what == "ID" ? lower_case(cell(one, property)) : cell(one, property));
  return names;
}

Status run_parsed(const Parsed& parsed, Session& session, const OpenManagement& open) {
  const Arguments& arguments = parsed.arguments;
  std::unique_ptr<Management> management;
  if (!parsed.command->local) {
    US_TRY(management, open(arguments, session.console));
  }
  if (arguments.has("wait") && arguments.has("no-wait"))
    return fail(ErrorCode::invalid_parameter, "--wait and --no-wait exclude each other");
  session.management = management.get();
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
  if (!words.empty() && words[0] == "--complete") {
    const auto names = [&](std::string_view what) { return names_of(what, console, open); };
    for (const std::string& word :
         complete(all_commands(), global_options(), {words.begin() + 1, words.end()}, names))
      console.out << printable(word) << '\n';
    console.out.flush();
    return 0;
  }
  const auto parsed = parse_arguments(all_commands(), global_options(), words);
  if (!parsed) return complain(parsed.error(), false, console);
  if (!parsed->help.empty()) {
    console.out << parsed->help << std::flush;
    return 0;
  }
  const Arguments& arguments = parsed->arguments;
  Session session{console, waiter, nullptr, arguments.has("json"), !arguments.has("no-wait")};
  const Status status = run_parsed(*parsed, session, open);
  if (!status) {
    const Error& error = status.error();
    return complain(error.hint().empty() ? error.with_hint(next_command(*parsed, error)) : error,
                    session.json && !session.printed, console);
  }
  console.out.flush();
  return session.verdict;
}

}  // namespace understudy::cli
