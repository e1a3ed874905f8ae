// Logging in with Kerberos, as far as it is not Kerberos: what a token proves, who may say so, and which
// principals are which callers.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "authz/roles.h"

namespace understudy::authz {

inline constexpr size_t kMostToken = 48000;  // bytes; what Windows makes at most

// What a token has proven.
struct Ticket {
  std::string principal;  // "ada@EXAMPLE.ORG", as Kerberos writes it
  std::string proof;      // bytes: that this host is who the caller meant; empty when he did not ask
};
template <class F>
void fields(F& f, Ticket& ticket) {
  f(ticket.principal, ticket.proof);
}

// Opens tokens. Any thread.
class TicketJudge {
 public:
  virtual ~TicketJudge() = default;
  // ErrorCode::unauthenticated: it proves nothing; not_available: nobody can say now.
  virtual Result<Ticket> judge(const std::string& token) = 0;
};

// Which principals are which callers: a text file of lines "user@REALM name roles"; '#' starts a comment. The
// principal is the whole of it, in the case that it has; nothing stands for all of a realm. Immutable once
// made; any thread.
class KerberosMap {
 public:
  struct Entry {
    std::string name;
    Roles roles;
  };
  KerberosMap() = default;  // knows nobody
  static Result<KerberosMap> parse(std::string_view text, std::string_view file_name);
  static Result<KerberosMap> load(const std::string& path);
  std::optional<Entry> find(const std::string& principal) const;

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace understudy::authz
