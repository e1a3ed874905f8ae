// Resource URIs: which class of which namespace is meant, in both families that clients use. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace understudy::wsman {

inline constexpr std::string_view kVirtualization = "root/virtualization/v2";
inline constexpr std::string_view kCimv2 = "root/cimv2";

struct Resource {
  std::string ns;          // kVirtualization or kCimv2
  std::string class_name;  // in the schema's spelling when it is known; "*": all classes
  bool all_classes() const { return class_name == "*"; }
};

// ".../wsman/1/wmi/root/virtualization/v2/CLASS" (ns from the URI) or ".../wscim/1/cim-schema/2/CLASS" and
// ".../wscim/1/*" (ns from `selector_ns`, the __cimnamespace selector; ours when that is empty).
// ErrorCode::not_found: no resource of ours. ErrorCode::failed: the selector contradicts the URI.
Result<Resource> parse_resource(std::string_view uri, std::string_view selector_ns);

// The URI, which is also the XML namespace, of a class. Win32 classes live in root/cimv2.
std::string class_uri(std::string_view class_name);
std::string_view namespace_of_class(std::string_view class_name);
std::string all_classes_uri(std::string_view ns);

}  // namespace understudy::wsman
