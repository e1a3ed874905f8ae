// In the place of understudy-front or understudy-link: confined as they are, but whoever is at the other end
// of a connection says what it does. A line is an order, a line comes back: "yes ...", or "no" with the
// reason.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

#include "base/limits.h"
#include "base/pack.h"
#include "ipc/sessions.h"
#include "ipc/setup.h"
#include "link/relay.h"
#include "link/socket_wire.h"

namespace understudy {
namespace {

constexpr Duration kLong = Duration::seconds(30);

std::string judged(bool worked) {
  return worked ? "yes" : std::string("no ") + strerrorname_np(errno);
}

bool connect_tcp(const std::string& address, uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  return fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
}

bool connect_unix(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
}

// What a process that runs any code can try.
std::string try_to(const std::string& verb, std::istringstream& words) {
  std::string path;
  int number = 0;
  if (verb == "read") return words >> path, judged(open(path.c_str(), O_RDONLY) >= 0);
  if (verb == "write") return words >> path, judged(open(path.c_str(), O_WRONLY | O_CREAT, 0600) >= 0);
  if (verb == "run") return words >> path, judged(execl(path.c_str(), path.c_str(), nullptr) == 0);
  if (verb == "connect")
    return words >> path >> number, judged(connect_tcp(path, static_cast<uint16_t>(number)));
  if (verb == "unix") return words >> path, judged(connect_unix(path));
  if (verb == "listen") return judged(net::listen_tcp("127.0.0.1", 0).has_value());
  if (verb == "signal") return words >> number, judged(kill(number, 0) == 0);
  if (verb == "trace") return words >> number, judged(ptrace(PTRACE_ATTACH, number, 0, 0) == 0);
  if (verb == "root") return judged(setuid(0) == 0);
  if (verb == "namespace") return judged(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
  if (verb == "mount") return judged(mount("none", "/", "tmpfs", 0, nullptr) == 0);
  return "no such order";
}

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
    return try_to(verb, words);
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
    return "yes " + who->name + " " + std::string(authz::role_name(who->role));
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
    return judged(control_.send(static_cast<ipc::Notice>(number)).has_value());
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
