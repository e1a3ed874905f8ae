// understudy-kerberos as the daemon has it: its process, the keytab that it is given the keys of, and the
// lane on which it is asked. Lives as long as the daemon.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "authz/kerberos.h"
#include "ipc/helper_process.h"
#include "ipc/lane.h"
#include "ipc/setup.h"
#include "model/finding.h"

namespace understudy::daemon {

class KerberosHost final : public authz::TicketJudge {
 public:
  struct Parts {
    std::string keytab;
    std::string root;  // a folder of its own, for the tokens that were taken
    bool log_json;
    bool log_debug;
  };
  // It serves when this returns. A keytab that cannot be used is no error: it is told, looked at again every
  // few seconds, and until then nobody logs in by it.
  static Result<std::unique_ptr<KerberosHost>> start(const Parts& parts);
  ~KerberosHost() override { stop(); }
  // Ends all waits; nothing is judged any more. Any thread.
  void stop();

  // Any thread; one token after the other. Waits a few seconds for its turn, for a process that is starting
  // again, and for the answer: then ErrorCode::not_available.
  Result<authz::Ticket> judge(const std::string& token) override;
  // How the keytab is. Any thread.
  Finding finding() const;

 private:
  explicit KerberosHost(const Parts& parts);
  bool read_keys();
  Result<std::shared_ptr<ipc::Lane>> take_turn();
  void end_turn(const std::shared_ptr<ipc::Lane>& lane, bool whole);

  const std::string keytab_;
  ipc::Setup setup_;  // on the helper's thread once it runs
  CancelToken stop_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Error> trouble_;     // of the keytab
  std::shared_ptr<ipc::Lane> lane_;  // none: the process is starting again
  bool busy_ = false;
  bool stopping_ = false;
  std::unique_ptr<ipc::HelperProcess> process_;  // ends first: it brings lanes
};

}  // namespace understudy::daemon
