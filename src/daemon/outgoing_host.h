// The process through which this host speaks with replica hosts (understudy-link): started with the first
// connection, and again when it ends. Any thread; ends with its destructor.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "ipc/helper_process.h"

namespace understudy::daemon {

class OutgoingHost {
 public:
  // `root`: an empty folder.
  OutgoingHost(std::string root, bool log_json, bool log_debug)
      : root_(std::move(root)), log_json_(log_json), log_debug_(log_debug) {}
  // See link::LinkConnector::Give.
  Status give(ByteView outgoing, int connection, int lane);

 private:
  Status start();
  const std::string root_;
  const bool log_json_, log_debug_;
  std::mutex mutex_;
  std::unique_ptr<ipc::HelperProcess> process_;
};

}  // namespace understudy::daemon
