// Operational errors as values. A layer that knows something new adds it with `context()`; nothing is thrown
// across a function that returns Result. Broken invariants are not errors: see assert.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace understudy {

enum class ErrorCode : uint8_t {
#define US_ERROR(name, cim, fault, http, exit_code, retry, text) name,
#include "base/errors.def"
#undef US_ERROR
};
inline constexpr size_t kErrorCodes = 0
#define US_ERROR(name, cim, fault, http, exit_code, retry, text) +1
#include "base/errors.def"
#undef US_ERROR
    ;

// never: the same call fails again. later: the condition may pass by itself. operator_: somebody must act.
enum class Retry : uint8_t { never, later, operator_ };

// One row of errors.def.
struct ErrorInfo {
  std::string_view name;
  uint32_t cim_return;  // ReturnValue and Msvm_ConcreteJob.ErrorCode
  std::string_view wsman_fault;
  int http_status;
  int exit_code;  // of the command
  Retry retry;
  std::string_view text;
};
const ErrorInfo& error_info(ErrorCode code);
// The code whose name is `name`, or `failed` when there is none (a newer peer may send names we do not know).
ErrorCode error_code_from_name(std::string_view name);

// What went wrong (`message`: object and cause, a sentence without a full stop) and what to do next (`hint`:
// a command or a step, may be empty).
class Error {
 public:
  Error(ErrorCode code, std::string message, std::string hint = {})
      : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  // "message. Next: hint"
  std::string text() const;
  // The same error seen from one layer further out: "what: message".
  Error context(std::string_view what) const;
  Error with_hint(std::string hint) const;

  bool operator==(const Error&) const = default;

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error(code, std::move(message), std::move(hint)));
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
// An errno value after a system call: ENOSPC and EDQUOT become no_space, ENOENT not_found, EACCES and EPERM
// access_denied, ETIMEDOUT timeout, the rest failed.
tl::unexpected<Error> fail_errno(int error_number, std::string_view what);

// US_TRY(auto x, call()): x is the value, or the function returns the error. US_CHECK for Status.
#define US_CONCAT_(a, b) a##b
#define US_CONCAT(a, b) US_CONCAT_(a, b)
#define US_TRY(declaration, expression)                                            \
  auto US_CONCAT(us_result_, __LINE__) = (expression);                             \
  if (!US_CONCAT(us_result_, __LINE__))                                            \
    return ::understudy::fail(std::move(US_CONCAT(us_result_, __LINE__)).error()); \
  declaration = std::move(*US_CONCAT(us_result_, __LINE__))
#define US_CHECK(expression)                                    \
  do {                                                          \
    if (auto us_status_ = (expression); !us_status_)            \
      return ::understudy::fail(std::move(us_status_).error()); \
  } while (false)

}  // namespace understudy
