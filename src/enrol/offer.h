// What is offered: one certificate, for names that were chosen here, to whoever has the secret first. The end
// of an enrolment that has the authority; it reads nothing but fixed messages of the process that faces the
// network. Any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "enrol/messages.h"

namespace understudy::enrol {

inline constexpr unsigned kMostWrong = 5;  // secrets; then the offer is over

class Offer {
 public:
  struct State {
    unsigned wrong = 0;
    std::string wrong_from;                       // the last of them, for people
    std::optional<net::CertificateInfo> signed_;  // for whom it was
    std::string from;                             // that has it
    bool kept = false;                            // it said so
    bool over = false;                            // nothing more will come of it
    std::optional<Error> error;                   // why nothing came of it
  };
  // `authority` is its folder, which can_sign() was asked about.
  Offer(std::string authority, std::vector<std::string> names, const Secret& secret)
      : authority_(std::move(authority)), names_(std::move(names)), secret_(secret) {}
  // One conversation with the process that listens; returns at its end.
  void serve(net::Fd lane, const CancelToken& stop);
  State state() const;
  // From now on nothing is signed; when something has been, it does nothing.
  void give_up(Error why);

 private:
  Status converse(net::Fd lane, const CancelToken& stop);
  Reply judge(const Claim& claim);
  Reply sign(const net::PublicKey& key, const std::string& from);

  const std::string authority_;
  const std::vector<std::string> names_;
  const Secret secret_;
  mutable std::mutex mutex_;
  State state_;
};

}  // namespace understudy::enrol
