// Certificates that are refused although our authority has signed them: a text file with a line "sha256:HEX"
// (the thumbprint) for each; '#' starts a comment. Read again when it has changed. No file: none is revoked;
// one that cannot be read or understood: all are, which the error says. Any thread.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "authz/text_file.h"

namespace understudy::authz {

class RevokedCertificates {
 public:
  explicit RevokedCertificates(std::string path) : path_(std::move(path)) {}
  // ErrorCode::access_denied. `name` is for the message.
  Status check(std::string_view thumbprint, std::string_view name) const;

 private:
  void refresh() const;
  const std::string path_;
  mutable std::mutex mutex_;
  mutable FileStamp stamp_;  // of what the two below say
  mutable std::set<std::string, std::less<>> thumbprints_;
  mutable Status readable_;
};

// Adds it to the file, which is made when it is missing. One that is there already stays. `remark`: one line.
Status revoke(const std::string& path, std::string_view thumbprint, std::string_view remark);

}  // namespace understudy::authz
