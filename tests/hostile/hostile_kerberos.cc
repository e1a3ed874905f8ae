// In the place of understudy-kerberos: confined as it is, but it believes every token, and does what it says.
// "claim PRINCIPAL": that is who sends it. Any other order is tried, in the name of the principal that the
// last claim has named; the outcome is its proof.
#include "authz/kerberos.h"
#include "base/pack.h"
#include "hostile/tries.h"
#include "ipc/lane.h"
#include "ipc/setup.h"

namespace understudy {

static Status serve(ipc::Control& control) {
  constexpr Duration kLong = Duration::seconds(3600);
  auto setup = control.receive(kLong, {});
  if (!setup) return fail(ErrorCode::protocol, "no setup");
  US_CHECK(control.send(ipc::Notice::ready));
  ipc::Lanes lanes(control);
  US_TRY(net::Fd opened, lanes.open());
  ipc::Lane lane(std::move(opened), {});
  std::string who;
  while (true) {
    US_TRY(const ipc::Message message, lane.receive(64 << 10, kLong));
    std::istringstream words{std::string(as_text(message.payload))};
    std::string verb;
    words >> verb;
    std::string outcome = "yes";
    if (verb == "claim")
      words >> who;
    else if (verb == "nonsense")
      outcome = std::string(256 << 10, 'x');
    else
      outcome = hostile::try_to(verb, words);
    const Bytes answer = pack(Result<authz::Ticket>(authz::Ticket{who, outcome}));
    US_CHECK(lane.send(ipc::Word::ticket, answer, 1 << 20, kLong));
  }
}

}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::ipc::confined_main(argc, argv, "a process that was taken over", understudy::serve,
                                        64 << 20);
}
