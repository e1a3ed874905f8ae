#include "cim/xml_text.h"

#include <cstdint>

namespace understudy::cim {
namespace {

// The length of the UTF-8 sequence at the front of `text` that XML 1.0 can carry; 0 when there is none.
size_t xml_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  uint32_t code = first & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool shortest = code >= (length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u);
  const bool allowed =
      code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) && code != 0xfffe && code != 0xffff;
  return shortest && allowed ? length : 0;
}

}  // namespace

std::string escape_xml(std::string_view content) {
  std::string out;
  out.reserve(content.size() + content.size() / 8);
  while (!content.empty()) {
    const size_t length = xml_character(content);
    switch (length == 1 ? content[0] : 'x') {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\t':
        out += "&#9;";
        break;
      case '\n':
        out += "&#10;";
        break;
      case '\r':
        out += "&#13;";
        break;
      default:
        length == 0 ? out.append("?") : out.append(content.substr(0, length));
    }
    content.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace understudy::cim
