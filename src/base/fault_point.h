// Named places where a test may end or fail the product from outside. Each durable step has one before and
// one after it. The environment variable UNDERSTUDY_FAULT picks what happens: "NAME:ACTION[:N]" at the N-th
// passage (default 1), with ACTION kill (SIGKILL to itself), stop (SIGSTOP) or fail (the step returns an
// error). With UNDERSTUDY_FAULT_LOG=FILE every passage appends its name there: a clean run lists the points
// that exist.
#pragma once

#include <string_view>

#include "base/result.h"

namespace understudy {
// Returns an error only when the environment asks this point to fail. Cheap when no fault is set. Any thread.
Status fault_point(std::string_view name);
}  // namespace understudy
