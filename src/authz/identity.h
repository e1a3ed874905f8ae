// A caller that has been proven. There is no such thing as an unproven or default Identity: before the proof
// there is an empty optional or an error.
#pragma once

#include <string>

#include "authz/roles.h"

namespace understudy::authz {

inline constexpr const char* kByKerberos = "kerberos";

struct Identity {
  Identity(std::string n, Roles r, std::string m, std::string f, std::string p = {})
      : name(std::move(n)),
        roles(std::move(r)),
        method(std::move(m)),
        from(std::move(f)),
        proof(std::move(p)) {}
  std::string name;
  Roles roles;
  std::string method;  // "basic", "certificate", kByKerberos or "unix"
  std::string from;    // peer address, or "unix"
  std::string proof;   // bytes of Kerberos: that this host is who he meant; goes with the answer
  bool operator==(const Identity&) const = default;
};

}  // namespace understudy::authz
