// A map from proofs to callers (certificate_map.h, kerberos.h) and the file that it is in: read again when
// that has changed. No file: it knows nobody; one that cannot be used: nobody either, and the log says why.
// Any thread; copies are one.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "authz/text_file.h"
#include "base/log.h"

namespace understudy::authz {

template <class Map>
class Followed {
 public:
  Followed(Map map = {}) : state_(std::make_shared<State>()) {  // NOLINT: one that has no file
    state_->map = std::make_shared<const Map>(std::move(map));
  }
  // The error of a file that cannot be used.
  static Result<Followed> open(std::string path) {
    Followed map;
    map.state_->path = std::move(path);
    US_CHECK(map.state_->read());
    return map;
  }
  std::shared_ptr<const Map> now() const {
    const std::lock_guard lock(state_->mutex);
    if (state_->path.empty() || FileStamp::of(state_->path) == state_->stamp) return state_->map;
    if (const Status read = state_->read(); !read)
      log_error("login", "a map that has changed cannot be used, and knows nobody",
                {{"error", read.error().text()}});
    return state_->map;
  }

 private:
  struct State {
    std::string path;  // empty: no file
    std::mutex mutex;
    FileStamp stamp;
    std::shared_ptr<const Map> map;
    Status read() {
      stamp = FileStamp::of(path);
      map = std::make_shared<const Map>();
      if (!stamp.there) return {};
      US_TRY(Map fresh, Map::load(path));
      map = std::make_shared<const Map>(std::move(fresh));
      return {};
    }
  };
  std::shared_ptr<State> state_;
};

}  // namespace understudy::authz
