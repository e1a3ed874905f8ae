// The users who log in with a password: a text file with a line "name:role:$argon2id$..." each; '#' starts a
// comment. A PasswordFile lives as long as the front, may be used by any thread, and reads the file again
// when it has changed; a file that cannot be read or understood lets nobody in.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "authz/roles.h"

namespace understudy::authz {

inline constexpr uint32_t kArgonKib = 19456;  // OWASP's recommendation for argon2id with two passes
inline constexpr uint32_t kArgonPasses = 2;
inline constexpr uint32_t kArgonLanes = 1;
inline constexpr int kMostVerifications =
    2;  // at once: bounds memory (19 MiB each) and CPU that strangers can use
inline constexpr size_t kMostRemembered = 64;  // successful logins that need not be computed again
inline constexpr size_t kLeastPassword = 8;
inline constexpr size_t kMostPassword = 256;
inline constexpr size_t kMostUserName = 64;
inline constexpr size_t kMostUsers = 1000;
inline constexpr size_t kMostUserFile = 1 << 20;

class PasswordFile {
 public:
  explicit PasswordFile(std::string path);
  ~PasswordFile();
  PasswordFile(PasswordFile&&) noexcept;

  // ErrorCode::unauthenticated for an unknown user and for a wrong password alike, in the same time. A login
  // that succeeded is remembered for some minutes. ErrorCode::timeout when too many others are being checked.
  Result<Roles> verify(std::string_view name, std::string_view password);
  // How often a password hash was computed.
  uint64_t computed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Adds the user or replaces role and password; the file is made (0600) when missing and replaced atomically.
Status set_user(const std::string& path, std::string_view name, const Roles& roles,
                std::string_view password);
// ErrorCode::not_found when there is no such user.
Status remove_user(const std::string& path, std::string_view name);

}  // namespace understudy::authz
