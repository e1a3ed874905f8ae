// In the place of understudy-front or understudy-link: confined as they are, but whoever is at the other end
// of a connection says what it does. A line is an order, a line comes back: "yes ...", or "no" with the
// reason.
#include <sstream>

#include "base/limits.h"
#include "base/pack.h"
#include "hostile/tries.h"
#include "ipc/sessions.h"
#include "ipc/setup.h"
#include "link/relay.h"
#include "link/socket_wire.h"

namespace understudy {
namespace {

constexpr Duration kLong = Duration::seconds(30);

class Obeyed {
 public:
  explicit Obeyed(ipc::Control& control)
      : control_(control), sessions_(control, [](std::string_view) -> Result<cim::XmlNode> {
          return fail(ErrorCode::invalid_parameter, "no XML here");
        }) {}

  void take_lane(net::Fd lane) { lane_ = std::move(lane); }
  std::string obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "claim") return claim(words);
    if (verb == "ask") return ask(words);
    if (verb == "lane") return speak_raw(words);
    if (verb == "notice") return notice(words);
    if (verb == "peer") return peer(words);
    if (verb == "say") return say(words);
    return hostile::try_to(verb, words);
  }

 private:
  // claim unix UID | password NAME PASSWORD | certificate THUMBPRINT NAME
  std::string claim(std::istringstream& words) {
    std::string kind, a, b;
    words >> kind >> a >> b;
    authz::Evidence evidence;
    evidence.from = "198.51.100.66:6";
    if (kind == "unix") evidence.unix_uid = static_cast<uint32_t>(std::stoul(a));
    if (kind == "password") evidence.password = authz::Password{a, b};
    if (kind == "certificate") evidence.certificate = authz::CertificateSeen{a, b};
    auto session = sessions_.open();
    if (!session) return "no " + session.error().message();
    session_ = std::move(*session);
    const auto who = session_->log_in(evidence);
    if (!who) return "no " + who.error().message();
    return "yes " + who->name + " " + authz::text_of(who->roles);
  }
  // ask CLASS [METHOD], in the last session
  std::string ask(std::istringstream& words) {
    std::string class_name, method;
    words >> class_name >> method;
    if (!session_) session_ = std::move(*sessions_.open());
    cim::Request request = cim::EnumerateRequest{class_name, {}};
    if (!method.empty())
      request = cim::InvokeRequest{{class_name, {}}, method, cim::Instance("METHOD_INPUT")};
    const auto answer = session_->handle(request);
    if (!answer) return "no " + answer.error().error.message();
    if (answer->invoked) return "yes " + std::to_string(answer->invoked->return_value);
    return "yes " + std::to_string(answer->items.size());
  }
  // lane HEX: any bytes into a lane
  std::string speak_raw(std::istringstream& words) {
    std::string hex, bytes;
    words >> hex;
    for (size_t i = 0; i + 1 < hex.size(); i += 2)
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    auto lane = ipc::Lanes(control_).open();
    if (!lane) return "no control";
    net::PlainStream stream({std::move(*lane), "lane"}, {});
    if (!stream.write_all(as_bytes(bytes), kLong)) return "no";
    std::byte answer[64];
    const auto n = stream.read(answer, kLong);
    return n && *n > 0 ? "yes " + std::to_string(*n) : "no answer";
  }
  // peer NAME [BYTES]: a conversation of the replication listener, in that name; what the daemon says first
  std::string peer(std::istringstream& words) {
    transfer::PeerIdentity identity;
    std::string nonsense;
    words >> identity.common_name >> nonsense;
    identity.names = {identity.common_name};
    identity.thumbprint = std::string(64, 'A');
    auto lane = ipc::Lanes(control_).open();
    if (!lane) return "no control";
    link::SocketWire wire(std::move(*lane), CancelToken());
    if (!link::announce(wire, identity)) return "no announcement";
    auto frame = transfer::read_frame(wire, kLong);
    if (!frame) return "no " + frame.error().message();
    if (frame->type != transfer::FrameType::ping) return "no " + std::string(as_text(frame->payload));
    if (nonsense.empty()) return "yes";
    if (!wire.write(as_bytes(nonsense), kLong) || !wire.shutdown()) return "no write";
    frame = transfer::read_frame(wire, kLong);
    return frame ? "no " + std::string(as_text(frame->payload)) : "no answer";
  }
  // say NAME [BYTES]: on the lane of a connection to a replica host, that it is NAME, and then these
  std::string say(std::istringstream& words) {
    transfer::PeerIdentity identity;
    std::string nonsense;
    words >> identity.common_name >> nonsense;
    if (!lane_) return "no lane";
    link::SocketWire wire(std::move(lane_), CancelToken());
    if (!link::announce(wire, identity)) return "no announcement";
    const auto greeting = transfer::read_frame(wire, kLong);
    if (!greeting) return "no " + greeting.error().message();
    (void)wire.write(as_bytes(nonsense), kLong);
    const auto frame = transfer::read_frame(wire, kLong);
    return frame ? "yes " + std::string(as_text(frame->payload)) : "no answer";
  }
  // notice NUMBER: any notice, without a descriptor
  std::string notice(std::istringstream& words) {
    int number = 0;
    words >> number;
    return hostile::judged(control_.send(static_cast<ipc::Notice>(number)).has_value());
  }

  ipc::Control& control_;
  net::Fd lane_;
  ipc::RemoteSessions sessions_;
  std::unique_ptr<session::Session> session_;
};

void obey_lines(Obeyed& attacker, net::Connection connection) {
  net::PlainStream stream(std::move(connection), {});
  std::string line;
  std::byte byte;
  while (true) {
    const auto n = stream.read({&byte, 1}, kLong);
    if (!n || *n == 0) return;
    if (byte != std::byte{'\n'}) {
      line += static_cast<char>(byte);
      continue;
    }
    if (!stream.write_all(as_bytes(attacker.obey(line) + "\n"), kLong)) return;
    line.clear();
  }
}

Status serve(ipc::Control& control) {
  auto setup = control.receive(kLong, {});
  if (!setup) return fail(setup.error());
  const bool listens = !setup->descriptors.empty();  // else it is given connections to replica hosts
  US_CHECK(control.send(ipc::Notice::ready));
  Obeyed attacker(control);
  while (true) {
    if (listens) {
      auto connection = net::accept(setup->descriptors.front(), {});
      if (!connection) return fail(connection.error());
      obey_lines(attacker, std::move(*connection));
    } else {
      auto given = control.receive(Duration::seconds(3600), {});
      if (!given) return fail(given.error());
      attacker.take_lane(std::move(given->descriptors.at(1)));
      obey_lines(attacker, {std::move(given->descriptors.at(0)), "replica host"});
    }
  }
}

}  // namespace

}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::ipc::confined_main(argc, argv, "a process that was taken over", understudy::serve);
}
