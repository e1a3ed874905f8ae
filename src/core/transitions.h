// The table that is the engine's behaviour. The first row that fits phase, event and guard is taken.
#pragma once

#include <optional>
#include <span>

#include "core/step.h"

namespace understudy::core {

using Guard = bool (*)(const Step&);
using Rule = void (*)(Step&);

struct Transition {
  std::optional<Phase> from;  // none: any phase
  size_t event;               // Is<T>::index
  std::string_view guard_name;
  Guard guard;
  std::optional<Phase> to;  // none: stays
  std::string_view rule_name;
  Rule rule;
};

std::span<const Transition> transitions();

// The table as a Markdown table and as a Graphviz diagram, for docs/reference.
std::string transitions_as_markdown();

}  // namespace understudy::core
