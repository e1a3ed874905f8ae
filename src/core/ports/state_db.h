// Where intent is kept: small versioned texts by kind and key. Any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace understudy::core {

class StateDb {
 public:
  virtual ~StateDb() = default;
  virtual Status put(const std::string& kind, const std::string& key,
                     const std::string& text) = 0;                             // durable
  virtual Status remove(const std::string& kind, const std::string& key) = 0;  // durable
  virtual Result<std::vector<std::pair<std::string, std::string>>> load(
      const std::string& kind) = 0;  // by key
};

}  // namespace understudy::core
