// A .tar.gz that is being written: regular files only, one after the other. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace understudy::files {

class Archive {
 public:
  // Makes the file, for its owner only. ErrorCode::invalid_parameter when something of that name is there.
  static Result<Archive> create(const std::string& path);
  Archive(Archive&&) noexcept;
  ~Archive();

  // `name`: a relative path within the archive.
  Status add(const std::string& name, std::string_view content, Wall modified);
  // The archive is whole only after this.
  Status close();

 private:
  struct State;
  explicit Archive(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace understudy::files
