// An XML element as a plain value: what this folder reads of libvirt's documents and what it writes for
// libvirt. Reading is bounded in size, depth and number of nodes, never fetches anything and expands no
// entities.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace understudy::hypervisor {

struct Element {
  std::string name;   // with its prefix, as written: "qemu:commandline"
  std::string space;  // namespace URI, or empty
  std::vector<std::pair<std::string, std::string>> attributes;
  std::string text;  // all text directly in it
  std::vector<Element> children;

  // The first child of that name, or null.
  const Element* child(std::string_view child_name) const;
  // The descendant by a path of first children, "os/type"; null when one is missing.
  const Element* at(std::string_view path) const;
  // Empty when it is not there.
  std::string_view attribute(std::string_view attribute_name) const;
  std::string_view text_at(std::string_view path) const;
  std::string_view attribute_at(std::string_view path, std::string_view attribute_name) const;

  // For writing. `add` returns the new child, valid until the next one is added to the same element.
  Element& add(std::string_view child_name, std::string_view child_text = {});
  Element& set(std::string_view attribute_name, std::string_view value);
};

Result<Element> parse_xml(std::string_view text);
// `space` is not written: a prefix is declared with set("xmlns:prefix", uri).
std::string to_xml(const Element& element);

}  // namespace understudy::hypervisor
