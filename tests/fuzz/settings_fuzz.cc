// The daemon's settings file: accepted values are within their documented ranges; an error names the file or
// the setting.
#include "daemon/config.h"
#include "fuzz/fuzz.h"

US_FUZZER(settings, input) {
  using namespace understudy;
  const auto config = daemon::parse_config(std::string(input), "FILE");
  if (!config) {
    US_ASSERT(config.error().code() == ErrorCode::invalid_parameter);
    US_ASSERT(config.error().message().starts_with("FILE:") ||
              config.error().message().starts_with("health."));
    return;
  }
  US_ASSERT(config->management.port > 0 && !config->management.socket.empty());
  US_ASSERT(!config->host_name.empty() && config->host_name.size() <= 4096);
  US_ASSERT(config->health.script_seconds >= 1 && config->health.script_seconds <= 600);
  US_ASSERT(config->health.script.empty() || config->health.script.front() == '/');
}
