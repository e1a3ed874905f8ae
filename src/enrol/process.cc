#include "enrol/process.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/pack.h"
#include "enrol/accept.h"
#include "enrol/server.h"
#include "ipc/lane.h"
#include "ipc/setup.h"

namespace understudy::enrol {
namespace {

constexpr const char* kProgram = "understudy-enrol";
// Of the daemon, too, which need not have run yet.
constexpr const char* kRunDirectory = "/run/understudy";

Result<ipc::HelperProcess::Options> options_for(ipc::Setup setup) {
  if (geteuid() != 0)
    return fail(ErrorCode::access_denied,
                "an enrolment has to be root's: what it reads from the network is read by a process that is "
                "nobody here",
                "run it as root");
  if (mkdir(kRunDirectory, 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, std::string("cannot make the folder ") + kRunDirectory);
  setup.product_version = UNDERSTUDY_VERSION;
  setup.log_json = false;
  ipc::HelperProcess::Options options;
  options.program = kProgram;
  options.user = "understudy-link";
  options.root = std::string(kRunDirectory) + "/empty";
  options.setup = pack(setup);
  return options;
}

Status serve_offer(ipc::Control& control, ipc::Given given) {
  if (!given.setup.tls) return fail(ErrorCode::protocol, "an offer needs a certificate");
  US_TRY(net::TlsContext context, offering_context(*given.setup.tls));
  ipc::Lanes lanes(control);
  US_CHECK(control.send(ipc::Notice::ready));
  Server server(std::move(context), std::move(given.listener), [&lanes] { return lanes.open(); });
  ipc::serve_to_the_end(control, nullptr);
}

Status serve(ipc::Control& control) {
  US_TRY(ipc::Given given, ipc::take_setup(control, UNDERSTUDY_VERSION));
  if (given.listener) return serve_offer(control, std::move(given));
  return ipc::carry_out_to_the_end(control, "enrol-ask", 1, carry_out);
}

}  // namespace

Offering::Offering(Offer& offer)
    : conversations_("enrol-judge", kMostCallers, [&offer](net::Fd lane, const CancelToken& stop) {
        offer.serve(std::move(lane), stop);
      }) {}

Result<std::unique_ptr<Offering>> Offering::start(Offer& offer, const net::OneTimeIdentity& identity,
                                                  net::Fd listener) {
  ipc::Setup setup;
  setup.tls.emplace();
  setup.tls->certificate = identity.certificate;
  setup.tls->key = identity.key;
  US_TRY(ipc::HelperProcess::Options options, options_for(std::move(setup)));
  std::unique_ptr<Offering> offering(new Offering(offer));
  options.listener = std::move(listener);
  options.on_lane = [self = offering.get()](net::Fd lane) { self->conversations_.take(std::move(lane)); };
  US_TRY(offering->process_, ipc::HelperProcess::start(std::move(options)));
  return offering;
}

Result<std::unique_ptr<ipc::HelperProcess>> start_asking() {
  US_TRY(ipc::HelperProcess::Options options, options_for({}));
  return ipc::HelperProcess::start(std::move(options));
}

int run(int argc, char** argv) {
  return ipc::confined_main(argc, argv, kProgram, serve);
}

}  // namespace understudy::enrol
