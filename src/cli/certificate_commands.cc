// Certificates: files of this host, and one that another host gets by a token. No daemon is needed.
#include <ostream>

#include "authz/revoked.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "enrol/accept.h"
#include "enrol/process.h"
#include "net/socket.h"

namespace understudy::cli {
namespace {

constexpr const char* kRevokedFile = "/etc/understudy/revoked";
constexpr const char* kTlsFolder = "/etc/understudy/tls";
constexpr uint16_t kEnrolPort = 8444;
constexpr uint64_t kMostMinutes = 60;
constexpr Duration kLookEvery = Duration::millis(200);

void print(Session& session, const net::CertificateInfo& info, const std::string& next) {
  std::vector<std::string> names = info.dns_names;
  names.insert(names.end(), info.ip_names.begin(), info.ip_names.end());
  Fields fields;
  fields.add("subject", info.subject).add("issuer", info.issuer).add("names", joined(names));
  fields.add("authority", info.authority ? "yes" : "");
  fields.add("valid from", iso_time(info.not_before)).add("valid until", iso_time(info.not_after));
  fields.add("thumbprint", info.thumbprint);
  JsonObject object;
  object.set("subject", info.subject);
  object.set("issuer", info.issuer);
  object.set("names", names);
  object.set("authority", info.authority);
  object.set("not_before", iso_time(info.not_before));
  object.set("not_after", iso_time(info.not_after));
  object.set("thumbprint", info.thumbprint);
  session.print(fields.text() + (next.empty() ? "" : "\nNext: " + next + "\n"), object);
}

tl::unexpected<Error> missing(const std::string& command, const std::string& option) {
  return fail(ErrorCode::invalid_parameter, "'understudy " + command + "' needs --" + option,
              "understudy " + command + " --help");
}

std::string address_text(const std::string& host, uint16_t port) {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
}

// What an offer is, as it is shown to who makes it.
struct Shown {
  std::vector<std::string> names;
  net::Fd listener;
  std::string at;  // where the other host finds it
  uint64_t minutes = 15;
  Monotonic begun;
};

std::string minutes_text(uint64_t minutes) {
  return std::to_string(minutes) + (minutes == 1 ? " minute" : " minutes");
}

Result<Shown> listen_for(const Arguments& arguments, const std::string& authority, Monotonic now) {
  Shown shown;
  shown.begun = now;
  US_TRY(shown.names, comma_list("NAMES", arguments.argument(0)));
  if (arguments.has("minutes")) {
    US_TRY(shown.minutes, arguments.number("minutes", 1, kMostMinutes));
  }
  HostAndPort where;
  if (arguments.has("listen")) {
    US_TRY(where, parse_host(arguments.text("listen")));
  }
  US_CHECK(net::can_sign(authority, shown.names));
  const uint16_t wanted = where.port != 0 ? where.port : kEnrolPort;
  US_TRY(shown.listener, net::listen_tcp(where.host, wanted));
  const bool everywhere = where.host.empty() || where.host == "0.0.0.0" || where.host == "::";
  shown.at = address_text(everywhere ? net::own_address() : where.host, wanted);
  return shown;
}

void show_offer(Session& session, const Shown& shown, const std::string& token) {
  const std::string command =
      "understudy certificate accept " + shown.at + " --token " + token + " --out " + kTlsFolder;
  JsonObject object;
  object.set("names", shown.names);
  object.set("address", shown.at);
  object.set("minutes", shown.minutes);
  object.set("token", token);
  object.set("command", command);
  session.print("On " + shown.names.front() + ", as root, within " + minutes_text(shown.minutes) + ":\n\n  " +
                    command + "\n\nWho has the token can take the certificate of " + shown.names.front() +
                    ", once: show it to nobody else.\n",
                object);
  session.console.out.flush();
  session.printed = false;  // what comes of it is a document of its own
}

// Until it is over, one way or another.
Result<enrol::Offer::State> wait_for(Session& session, const Shown& shown, enrol::Offer& offer) {
  Progress progress(session.console.err, session.console.draws, shown.begun);
  const Duration most = Duration::seconds(60) * static_cast<int64_t>(shown.minutes);
  unsigned told = 0;
  bool interrupted = false;
  while (true) {
    const enrol::Offer::State state = offer.state();
    for (; told < state.wrong; ++told) {
      progress.clear();
      session.console.err << "A wrong secret came (" << told + 1 << " of " << enrol::kMostWrong
                          << "), the last one from " << printable(state.wrong_from) << std::endl;
    }
    if (state.error) return fail(*state.error);
    if (state.over || interrupted) return state;
    const Duration passed = session.waiter.now() - shown.begun;
    if (passed >= most)
      offer.give_up(Error(ErrorCode::timeout,
                          "nobody took the certificate of '" + shown.names.front() + "' within " +
                              minutes_text(shown.minutes) + ": the token counts no more",
                          "look whether that host reaches " + shown.at + ", and offer again"));
    progress.show({"Waiting for " + shown.names.front() + " at " + shown.at + ", time passed",
                   static_cast<uint64_t>(passed.us * 100 / most.us)},
                  session.waiter.now());
    if (const Status waited = session.waiter.wait(kLookEvery); !waited) {
      interrupted = true;  // which comes too late for what is signed
      offer.give_up(waited.error());
    }
  }
}

}  // namespace

Status certificate_authority(Session& session, const Arguments& arguments) {
  const std::string& dir = arguments.argument(0);
  US_TRY(const auto info, net::create_authority(dir, arguments.text("name", "understudy-authority")));
  print(session, info, "understudy certificate host NAME --authority " + dir + " --out DIR");
  return {};
}

Status certificate_host(Session& session, const Arguments& arguments) {
  if (!arguments.has("authority")) return missing("certificate host", "authority DIR");
  if (!arguments.has("out")) return missing("certificate host", "out DIR");
  US_TRY(const auto names, comma_list("NAMES", arguments.argument(0)));
  const std::string out = arguments.text("out");
  US_TRY(const auto info, net::issue_certificate(arguments.text("authority"), names, out));
  print(session, info, "copy the files of " + out + " to /etc/understudy/tls on " + names.front());
  return {};
}

Status certificate_offer(Session& session, const Arguments& arguments) {
  if (!arguments.has("authority")) return missing("certificate offer", "authority DIR");
  const std::string authority = arguments.text("authority");
  US_TRY(Shown shown, listen_for(arguments, authority, session.waiter.now()));
  US_TRY(const net::OneTimeIdentity identity, net::make_one_time_identity());
  const enrol::Token token = enrol::make_token(identity.thumbprint);
  enrol::Offer offer(authority, shown.names, token.secret);
  US_CHECK(session.waiter.wait({}));  // Ctrl-C is its business before there are threads
  US_TRY(const auto offering, enrol::Offering::start(offer, identity, std::move(shown.listener)));
  show_offer(session, shown, enrol::text_of(token));
  US_TRY(const enrol::Offer::State state, wait_for(session, shown, offer));
  const net::CertificateInfo& info = *state.signed_;
  if (!state.kept)
    return fail(ErrorCode::not_available,
                "the certificate of '" + info.common_name + "' was signed for " + state.from +
                    ", which did not say that it keeps it",
                "if it has none: understudy certificate revoke " + info.thumbprint +
                    " on each host, and offer again");
  print(session, info, "start understudyd on " + info.common_name + ", unless it runs there");
  return {};
}

Status certificate_accept(Session& session, const Arguments& arguments) {
  if (!arguments.has("token")) return missing("certificate accept", "token TOKEN");
  if (!arguments.has("out")) return missing("certificate accept", "out DIR");
  std::string text = arguments.text("token");
  if (text == "-") {
    US_TRY(text, session.console.ask_password("Token: "));
  }
  US_TRY(const enrol::Token token, enrol::parse_token(text));
  US_TRY(const HostAndPort at, parse_host(arguments.argument(0)));
  const std::string out = arguments.text("out");
  US_CHECK(net::check_host_folder(out));
  US_TRY(const auto process, enrol::start_asking());
  const auto give = [&](ByteView errand, int connection, int lane) {
    return process->give(errand, {connection, lane});
  };
  US_TRY(const auto info, enrol::accept(token, at.host, at.port != 0 ? at.port : kEnrolPort, out, give));
  print(session, info, "start understudyd, unless it runs: it takes a new certificate within seconds");
  return {};
}

Status certificate_show(Session& session, const Arguments& arguments) {
  US_TRY(const auto info, net::load_certificate_info(arguments.argument(0)));
  print(session, info, "");
  return {};
}

Status certificate_revoke(Session& session, const Arguments& arguments) {
  std::string thumbprint = arguments.argument(0);
  std::string whose;
  if (thumbprint.find_first_of("/.") != std::string::npos) {
    US_TRY(const auto info, net::load_certificate_info(thumbprint));
    thumbprint = info.thumbprint;
    whose = info.common_name;
  }
  const std::string file = arguments.text("file", kRevokedFile);
  std::string remark = whose;
  if (const std::string reason = arguments.text("reason"); !reason.empty())
    remark += (remark.empty() ? "" : ": ") + reason;
  US_CHECK(authz::revoke(file, thumbprint, remark));
  JsonObject object;
  object.set("thumbprint", thumbprint);
  object.set("file", file);
  session.print("The certificate " + printable(whose.empty() ? thumbprint : "of " + whose) +
                    " is refused here from now on (" + file +
                    ").\nNext: the same on each other host that knows its authority\n",
                object);
  return {};
}

}  // namespace understudy::cli
