// Embedded instance: an accepted one is of the schema, and written again it reads as the same instance.
#include "base/limits.h"
#include "cim/embedded.h"
#include "cim/schema.h"
#include "cim/typed.h"
#include "fuzz/fuzz.h"
#include "wsman/xml.h"

US_FUZZER(embedded, input) {
  using namespace understudy;
  const cim::XmlParser parser = [](std::string_view text) { return wsman::parse_xml(text); };
  const auto instance = cim::parse_embedded(parser, input, "CIM_ManagedElement");
  if (!instance) {
    const ErrorCode code = instance.error().code();
    US_ASSERT(code == ErrorCode::invalid_parameter || code == ErrorCode::wrong_type);
    return;
  }
  const cim::ClassDecl* decl = cim::find_class(instance->class_name());
  US_ASSERT(decl && !decl->abstract);
  for (const auto& [name, value] : instance->properties()) {
    const cim::PropertyDecl* property = decl->property(name);
    US_ASSERT(property && (value.null() || value.is_array() == property->array));
    if (const auto* scalar = value.scalar()) US_ASSERT(cim::fits(property->type, *scalar));
  }
  const std::string text = cim::format_embedded(*instance);
  if (text.size() > limits::kMostEmbeddedLength) return;
  const auto again = cim::parse_embedded(parser, text, decl->name);
  US_ASSERT(again && cim::format_embedded(*again) == text);
}
