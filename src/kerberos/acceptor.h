// Opens tokens of Kerberos with the keys of this host (MIT's libraries, private to this folder). No
// configuration file, name service, network or plug-in of the host is asked. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "authz/kerberos.h"
#include "authz/keytab.h"

namespace understudy::kerberos {

class Acceptor {
 public:
  // `replays`: the file of tokens that were taken, each remembered until its time is over (300 s, by which
  // two clocks may differ). It outlives the acceptor and the process. Without a key every token is refused.
  static Result<std::unique_ptr<Acceptor>> make(const std::vector<authz::ServiceKey>& keys,
                                                const std::string& replays);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // A token of Kerberos, bare or within SPNEGO, that says all in one message and never came before.
  // ErrorCode::unauthenticated, with the reason, for every other; not_available without a key.
  Result<authz::Ticket> accept(const std::string& token);

 private:
  struct State;
  explicit Acceptor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace understudy::kerberos
