#include "ipc/setup.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "base/pack.h"
#include "ipc/confine.h"
#include "ipc/control.h"
#include "ipc/conversations.h"

namespace understudy::ipc {
namespace {

constexpr Duration kFirst = Duration::seconds(10);
constexpr Duration kForever = Duration::seconds(86400);

}  // namespace

net::TlsOptions TlsSetup::options() const {
  net::TlsOptions o;
  o.certificate_file = certificate_file;
  o.key_file = key_file;
  o.authority_file = authority_file;
  o.peer = mutual ? net::PeerCheck::required : net::PeerCheck::optional;
  o.tls13_only = mutual;
  o.alpn = alpn;
  return o;
}

Status TlsSetup::read() {
  US_TRY(static_cast<net::TlsTexts&>(*this), net::read_tls_texts(options()));
  return {};
}

Result<Given> take_setup(Control& control, const char* product_version) {
  US_TRY(ControlMessage message, control.receive(kFirst, {}));
  auto setup = unpack<Setup>(message.payload);
  if (message.notice != Notice::setup || !setup || message.descriptors.size() > 1)
    return fail(ErrorCode::protocol, "the daemon sent no setup");
  if (setup->product_version != product_version)
    return fail(ErrorCode::invalid_state,
                "understudyd is " + setup->product_version + ", this process of it is " + product_version,
                "install both from one package");
  set_log(setup->log_debug ? LogLevel::debug : LogLevel::info, setup->log_json);
  Given given{std::move(*setup), {}};
  if (!message.descriptors.empty()) given.listener = std::move(message.descriptors.front());
  return given;
}

int confined_main(int argc, char** argv, const char* name, Status (*serve)(Control& control),
                  size_t most_file) {
  auto confinement = confinement_of(argc, argv);
  if (!confinement) {
    std::fprintf(stderr, "%s is started by understudyd\n", name);
    return 2;
  }
  confinement->most_file = most_file;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that is full is an error of who writes it
  Control control{net::Fd(STDIN_FILENO)};
  Status ended = confine(*confinement);
  if (ended) ended = serve(control);
  (void)control.send(Notice::failed, pack(ended.error()));
  return 1;
}

void serve_to_the_end(Control& control, const std::function<void(Setup)>& renewed,
                      const std::function<void(ControlMessage)>& on_lane) {
  while (true) {
    auto message = control.receive(kForever, {});
    if (!message && message.error().code() == ErrorCode::timeout) continue;
    if (!message) _exit(0);  // at once: clients whose answer nobody can give any more
    if (message->notice == Notice::setup) {
      if (auto setup = unpack<Setup>(message->payload)) renewed(std::move(*setup));
    } else if (message->notice == Notice::lane && on_lane) {
      on_lane(std::move(*message));
    }
  }
}

void serve_to_the_end(Control& control, net::TlsInUse* tls,
                      const std::function<void(ControlMessage)>& on_lane) {
  const auto take = [tls](const Setup& setup) {
    if (!setup.tls || tls == nullptr) return;
    if (auto context = setup.tls->server()) tls->set(std::move(*context));  // the daemon has tried them
  };
  serve_to_the_end(control, take, on_lane);
}

Status carry_out_to_the_end(Control& control, std::string thread_name, size_t most, CarryOut carry_out) {
  Conversations conversations(std::move(thread_name), most);
  US_CHECK(control.send(Notice::ready));
  serve_to_the_end(control, nullptr, [&conversations, carry_out](ControlMessage message) {
    if (message.descriptors.size() != 2) return;
    auto given = std::make_shared<ControlMessage>(std::move(message));
    conversations.run([given, carry_out](const CancelToken& stop) {
      carry_out(given->payload, std::move(given->descriptors[0]), std::move(given->descriptors[1]), stop);
    });
  });
}

Bytes WatchedSetup::packed() const {
  return pack(setup_);
}

std::optional<Bytes> WatchedSetup::renewed() {
  if (!setup_.tls) return std::nullopt;
  TlsSetup now = *setup_.tls;
  if (!now.read() || now == setup_.tls || now == refused_) return std::nullopt;
  if (const auto context = now.server(); !context) {
    log_error("tls", "changed certificates cannot be used; the ones before stay",
              {{"error", context.error().text()}});
    refused_ = std::move(now);
    return std::nullopt;
  }
  log_info("tls", "certificates were renewed", {{"certificate", now.certificate_file}});
  setup_.tls = std::move(now);
  return packed();
}

}  // namespace understudy::ipc
