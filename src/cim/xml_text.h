// Text inside XML, for everybody who writes some.
#pragma once

#include <string>
#include <string_view>

namespace understudy::cim {

// Character data for an element or an attribute, of which a parser gives back every character: escaped, and
// '?' for what XML cannot carry.
std::string escape_xml(std::string_view text);

}  // namespace understudy::cim
