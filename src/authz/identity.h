// A caller that has been proven. There is no such thing as an unproven or default Identity: before the proof
// there is an empty optional or an error.
#pragma once

#include <string>

#include "authz/roles.h"

namespace understudy::authz {

struct Identity {
  Identity(std::string n, Role r, std::string m, std::string f)
      : name(std::move(n)), role(r), method(std::move(m)), from(std::move(f)) {}
  std::string name;
  Role role;
  std::string method;  // "basic", "certificate" or "unix"
  std::string from;    // peer address, or "unix"
  bool operator==(const Identity&) const = default;
};

}  // namespace understudy::authz
