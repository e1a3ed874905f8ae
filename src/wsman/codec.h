// CIM values as WS-CIM elements and back (spec 9.5, 9.6). What the schema knows is written and read typed;
// what it does not know comes as texts. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cim/operation.h"
#include "cim/schema.h"
#include "cim/xml_tree.h"
#include "wsman/xml.h"

namespace understudy::wsman {

// --- out ---

// <p:CLASS ... xsi:type="p:CLASS_Type"> with every property of the class.
void write_instance(XmlWriter& out, const cim::Instance& instance);
// <w:XmlFragment> with only these properties, alphabetical.
void write_fragment(XmlWriter& out, const cim::Instance& instance, const std::vector<std::string>& selected);
// One property, as it is inside an instance; `class_name` says of which class.
void write_property(XmlWriter& out, const cim::Instance& instance, const cim::PropertyDecl& property);
// <a:EndpointReference> with its content.
void write_endpoint(XmlWriter& out, const cim::ObjectPath& path);
// a:Address and a:ReferenceParameters, as they are inside a reference property. They need a and w declared.
void write_reference_content(XmlWriter& out, const cim::ObjectPath& path);
// <p:METHOD_OUTPUT>: out parameters, ReturnValue last. `uri` as the request named the class.
void write_output(XmlWriter& out, std::string_view uri, std::string_view class_name, std::string_view method,
                  const cim::InvokeResult& result);
// <p:METHOD_INPUT>, for a caller: nothing but what is set.
void write_input(XmlWriter& out, std::string_view uri, std::string_view method,
                 const cim::Instance& parameters);

// --- in ---

// Whether the element holds a reference, with or without a:EndpointReference around it.
bool is_reference(const cim::XmlNode& element);
Result<cim::ObjectPath> read_reference(const cim::XmlNode& element);
// METHOD_INPUT of a request: texts, references, arrays where an element is repeated, NULL for xsi:nil.
// ErrorCode::wrong_type when a parameter is built as nothing of these. `body` may be null: no parameters.
Result<cim::Instance> read_input(const cim::XmlNode* body, std::string_view method);
// An instance element of a reply, named after its class, or a w:XmlFragment that says its type.
Result<cim::Instance> read_instance(const cim::XmlNode& element);
// METHOD_OUTPUT of a reply.
Result<cim::InvokeResult> read_output(const cim::XmlNode& element, std::string_view class_name,
                                      std::string_view method);

}  // namespace understudy::wsman
