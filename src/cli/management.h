// The door to a daemon, as the commands see it: two operations over WS-Management, and what is needed to name
// things. One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cim/operation.h"
#include "cli/arguments.h"
#include "cli/console.h"

namespace understudy::cli {

class Management {
 public:
  virtual ~Management() = default;
  virtual std::string server() const = 0;  // for messages: "hostb:5986", "this host"
  // `query`: the name of a class, or a WQL text.
  virtual Result<std::vector<cim::Instance>> enumerate(const std::string& query) = 0;
  virtual Result<cim::InvokeResult> invoke(const cim::ObjectPath& path, const std::string& method,
                                           const cim::Instance& parameters) = 0;
};

inline constexpr const char* kDefaultSocket = "/run/understudy/wsman.sock";
inline constexpr uint16_t kDefaultPort = 5986;

// By the global options: HTTPS to --host, or the unix socket.
Result<std::unique_ptr<Management>> open_management(const Arguments& arguments, const Console& console);

struct HostAndPort {
  std::string host;
  uint16_t port = 0;  // 0 = not given
};
// HOST, HOST:PORT, [ADDRESS]:PORT
Result<HostAndPort> parse_host(const std::string& text);

// Everything of a class whose property is this text.
std::string where(const std::string& class_name, const std::string& property, const std::string& text);
Result<cim::Instance> only(Management& management, const std::string& query, const std::string& what);

cim::ObjectPath service_path();
cim::ObjectPath own_service_path();  // Understudy_ReplicationService
cim::ObjectPath vm_path(const cim::Instance& status);
// The Understudy_ReplicationStatus of the VM of this name or id. ErrorCode::not_found lists what there is.
Result<cim::Instance> find_vm(Management& management, const std::string& name_or_id);

// The id of the job that was started, or nothing when it is done. What the method refuses is an error.
Result<std::optional<Uuid>> call(Management& management, const cim::ObjectPath& path,
                                 const std::string& method, const cim::Instance& parameters);
// The code that a ReturnValue or a job's ErrorCode stands for.
ErrorCode code_of_return(uint64_t value);

}  // namespace understudy::cli
