#include "base/result.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace understudy {
namespace {
constexpr std::array kErrors = {
#define US_ERROR(name, cim, fault, http, exit_code, retry, text) \
  ErrorInfo{#name, cim, fault, http, exit_code, Retry::retry, text},
#include "base/errors.def"
#undef US_ERROR
};
}  // namespace

const ErrorInfo& error_info(ErrorCode code) {
  return kErrors.at(static_cast<size_t>(code));
}

ErrorCode error_code_from_name(std::string_view name) {
  for (size_t i = 0; i < kErrors.size(); ++i)
    if (kErrors[i].name == name) return static_cast<ErrorCode>(i);
  return ErrorCode::failed;
}

std::string Error::text() const {
  return hint_.empty() ? message_ : message_ + ". Next: " + hint_;
}

Error Error::context(std::string_view what) const {
  return Error(code_, std::string(what) + ": " + message_, hint_);
}

Error Error::with_hint(std::string hint) const {
  return Error(code_, message_, std::move(hint));
}

tl::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  ErrorCode code = ErrorCode::failed;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::no_space;
      break;
    case ENOENT:
      code = ErrorCode::not_found;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::access_denied;
      break;
    case ETIMEDOUT:
      code = ErrorCode::timeout;
      break;
    case ENOMEM:
      code = ErrorCode::out_of_memory;
      break;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOTCONN:
    case ESHUTDOWN:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
      code = ErrorCode::not_available;
      break;
    default:
      break;
  }
  return fail(code, std::string(what) + ": " + std::strerror(error_number));
}

}  // namespace understudy
