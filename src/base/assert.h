// Broken invariants end the process, in release builds too. Never for a fact read from disk or from the wire.
#pragma once

namespace understudy {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#define US_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::understudy::assertion_failed(#expression, __FILE__, __LINE__))
