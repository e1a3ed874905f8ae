// Who can be asked what an engine says: the core with its queue. The seam for what stands in front of it,
// such as the link's service. Any thread.
#pragma once

#include <functional>
#include <optional>
#include <variant>

#include "performer/performer.h"

namespace understudy::performer {

using Answer =
    std::variant<core::Reply, core::PrepareReply, core::QueryReply, core::BeginReply, core::FinishReply>;

class Asker {
 public:
  virtual ~Asker() = default;
  // Posts what `make` gives for a new call id, and waits for its answer.
  virtual Result<Answer> ask(const Uuid& vm, const std::function<core::Event(core::CallId)>& make,
                             Duration deadline) = 0;
  virtual std::optional<core::State> state(const Uuid& vm) const = 0;
  virtual Performer& performer() = 0;
};

}  // namespace understudy::performer
