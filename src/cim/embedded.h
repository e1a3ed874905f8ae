// An instance as the CIM-XML text of one INSTANCE, the form in which settings travel inside string parameters
// and string properties. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "cim/value.h"
#include "cim/xml_tree.h"

namespace understudy::cim {

// Reads an INSTANCE (wrappers such as CIM or VALUE.NAMEDINSTANCE around it are looked through) of
// `expected_class` or a class below it; values come typed as the schema declares them, names in the schema's
// spelling. Properties without a value are set to NULL, so `has` tells what was mentioned.
//   invalid_parameter  no XML, too large, no INSTANCE, an unknown property, a property twice, a text too long
//   wrong_type         another class, a TYPE other than the schema's, a value that is none of its type
Result<Instance> read_embedded(const XmlNode& tree, std::string_view expected_class);
Result<Instance> parse_embedded(const XmlParser& parser, std::string_view text,
                                std::string_view expected_class);

// The INSTANCE of everything in it that is not NULL. What is not in the schema is a broken invariant.
std::string format_embedded(const Instance& instance);

}  // namespace understudy::cim
