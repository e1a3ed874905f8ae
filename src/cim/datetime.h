// The text forms of a DateTime: CIM's own (in CIM-XML and object paths) and XML Schema's (on the wire). Pure
// functions.
#pragma once

#include <string>
#include <string_view>

#include "cim/value.h"

namespace understudy::cim {

// yyyymmddHHMMSS.mmmmmm+UUU (always +000) or ddddddddHHMMSS.mmmmmm:000.
std::string cim_datetime_text(const DateTime& value);
// xs:dateTime "2025-12-17T09:55:22.702341Z", without trailing zeros, or xs:duration "P0DT0H1M40S".
std::string xs_datetime_text(const DateTime& value);

// CIM's own form. An offset is minutes from UTC. A date of zeros is a time of day and becomes an interval,
// whatever it ends in. ErrorCode::wrong_type when it is something else.
Result<DateTime> parse_cim_datetime(std::string_view text);
// xs:dateTime (without zone: UTC) or xs:duration (no years, no months, not negative).
Result<DateTime> parse_xs_datetime(std::string_view text);
// Any of these.
Result<DateTime> parse_datetime(std::string_view text);

}  // namespace understudy::cim
