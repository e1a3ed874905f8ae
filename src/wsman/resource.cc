#include "wsman/resource.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "cim/schema.h"

namespace understudy::wsman {
namespace {

constexpr std::string_view kWmi = "http://schemas.microsoft.com/wbem/wsman/1/wmi/";
constexpr std::string_view kDmtf = "http://schemas.dmtf.org/wbem/wscim/1/";
constexpr std::string_view kDmtfClass = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/";
constexpr size_t kMostUri = 512;

bool starts_with(std::string_view text, std::string_view start) {
  return text.size() > start.size() && cim::same_name(text.substr(0, start.size()), start);
}

// A namespace in either spelling, "root\cimv2" or "root/cimv2", with or without something before it.
std::optional<std::string_view> known_namespace(std::string_view text) {
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '\\', '/');
  for (const std::string_view ns : {kVirtualization, kCimv2})
    if (cim::same_name(plain, ns)) return ns;
  return std::nullopt;
}

bool class_name_like(std::string_view name) {
  return name == "*" || (!name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '_';
         }));
}

tl::unexpected<Error> unknown(std::string_view uri) {
  return fail(ErrorCode::not_found, "there is no resource " + std::string(uri.substr(0, kMostUri)),
              "use http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/CLASS");
}

}  // namespace

Result<Resource> parse_resource(std::string_view uri, std::string_view selector_ns) {
  std::string_view class_name;
  std::string_view ns = kVirtualization;
  if (uri.size() > kMostUri) return unknown(uri);
  if (starts_with(uri, kWmi)) {
    const std::string_view rest = uri.substr(kWmi.size());
    const size_t slash = rest.rfind('/');
    const auto found =
        slash == std::string_view::npos ? std::nullopt : known_namespace(rest.substr(0, slash));
    if (!found) return unknown(uri);
    ns = *found;
    class_name = rest.substr(slash + 1);
    if (!selector_ns.empty() && known_namespace(selector_ns) != ns)
      return fail(ErrorCode::failed, "the selector __cimnamespace contradicts the resource URI",
                  "leave the selector out");
  } else if (starts_with(uri, kDmtf)) {
    class_name = starts_with(uri, kDmtfClass) ? uri.substr(kDmtfClass.size()) : uri.substr(kDmtf.size());
    const auto found = known_namespace(selector_ns.empty() ? kVirtualization : selector_ns);
    if (!found) return unknown(uri);
    ns = *found;
  }
  if (!class_name_like(class_name)) return unknown(uri);
  if (const cim::ClassDecl* known = cim::find_class(class_name)) class_name = known->name;
  if (class_name != "*" && namespace_of_class(class_name) != ns) return unknown(uri);
  return Resource{std::string(ns), std::string(class_name)};
}

std::string_view namespace_of_class(std::string_view class_name) {
  return starts_with(class_name, "Win32_") ? kCimv2 : kVirtualization;
}

std::string class_uri(std::string_view class_name) {
  return std::string(kWmi) + std::string(namespace_of_class(class_name)) + "/" + std::string(class_name);
}

std::string all_classes_uri(std::string_view ns) {
  return std::string(kWmi) + std::string(ns) + "/*";
}

}  // namespace understudy::wsman
