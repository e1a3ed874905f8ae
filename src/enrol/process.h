// understudy-enrol: the process that speaks with the other host in an enrolment, in either direction,
// confined like a link (docs/spec/processes.md). Free functions.
#pragma once

#include <memory>

#include "enrol/offer.h"
#include "ipc/conversations.h"
#include "ipc/helper_process.h"

namespace understudy::enrol {

// Listens for who accepts, and asks `offer`, for as long as it lives.
class Offering {
 public:
  // `listener` is bound; `identity` is shown there. `offer` outlives this. Root only.
  static Result<std::unique_ptr<Offering>> start(Offer& offer, const net::OneTimeIdentity& identity,
                                                 net::Fd listener);

 private:
  explicit Offering(Offer& offer);
  ipc::Conversations conversations_;
  std::unique_ptr<ipc::HelperProcess> process_;  // ends first
};

// For accept(): gives it errands. Root only.
Result<std::unique_ptr<ipc::HelperProcess>> start_asking();

// main() of the process.
int run(int argc, char** argv);

}  // namespace understudy::enrol
