// Faults on the wire (spec 9.10): a cim::Fault to its envelope, and back for a caller. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cim/operation.h"
#include "cim/xml_tree.h"

namespace understudy::wsman {

// The subcode a fault goes out with: its own, else the row of errors.def.
std::string fault_subcode(const cim::Fault& fault);
// The whole envelope. The error's name travels in f:ProviderFault, so that our own command gets the exact
// code.
std::string write_fault(const cim::Fault& fault, std::string_view relates_to,
                        std::string_view more_headers = {});
// The error of an envelope with an s:Fault in its Body; null when it has none.
std::optional<Error> read_fault(const cim::XmlNode& envelope);

// Why a method refused, as the header <u:Error Code="name"> with text and hint: beside its ReturnValue, which
// is only a number, and skipped by those who do not know it. Reading gives null when there is none.
std::string write_error_header(const Error& error);
std::optional<Error> read_error_header(const cim::XmlNode& envelope);

}  // namespace understudy::wsman
