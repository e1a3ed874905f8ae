// Making faults, for the object manager's parts.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "cim/operation.h"

namespace understudy::cim {

inline tl::unexpected<Fault> fault(Error error, std::string subcode = {}, std::string detail = {}) {
  return tl::unexpected<Fault>(Fault{std::move(error), std::move(subcode), std::move(detail)});
}
// No such class, or no such instance of it.
inline tl::unexpected<Fault> unreachable_fault(std::string message) {
  return fault(Error(ErrorCode::not_found, std::move(message)), "a:DestinationUnreachable",
               "InvalidResourceURI");
}
inline tl::unexpected<Fault> unknown_class_fault(std::string_view name) {
  return unreachable_fault("class " + std::string(name.substr(0, 128)) + " is not known");
}
inline tl::unexpected<Fault> selector_fault(std::string message, std::string detail) {
  return fault(Error(ErrorCode::invalid_parameter, std::move(message)), "w:InvalidSelectors",
               std::move(detail));
}
inline tl::unexpected<Fault> filter_fault(std::string message) {
  return fault(Error(ErrorCode::invalid_parameter, std::move(message)), "n:CannotProcessFilter");
}
inline tl::unexpected<Fault> body_fault(std::string message) {
  return fault(Error(ErrorCode::wrong_type, std::move(message)), "w:SchemaValidationError");
}

// US_TRY and US_CHECK for functions that return an Outcome, over an Outcome or a Result.
inline tl::unexpected<Fault> pass_on(Fault f) {
  return tl::unexpected<Fault>(std::move(f));
}
inline tl::unexpected<Fault> pass_on(Error e) {
  return fault(std::move(e));
}

#define US_FAULT_TRY(declaration, expression)                                               \
  auto US_CONCAT(us_outcome_, __LINE__) = (expression);                                     \
  if (!US_CONCAT(us_outcome_, __LINE__))                                                    \
    return ::understudy::cim::pass_on(std::move(US_CONCAT(us_outcome_, __LINE__)).error()); \
  declaration = std::move(*US_CONCAT(us_outcome_, __LINE__))

}  // namespace understudy::cim
