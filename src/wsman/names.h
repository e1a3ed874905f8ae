// The URIs of WS-Management (spec 9.1). All of them, once; comparison of resource URIs is without case.
#pragma once

#include <string_view>

namespace understudy::wsman {

inline constexpr std::string_view kSoap = "http://www.w3.org/2003/05/soap-envelope";
inline constexpr std::string_view kAddressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
inline constexpr std::string_view kAnonymous =
    "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
inline constexpr std::string_view kTransfer = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
inline constexpr std::string_view kEnumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
inline constexpr std::string_view kWsman = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
inline constexpr std::string_view kWsmanFaultAction = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault";
inline constexpr std::string_view kBinding = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd";
inline constexpr std::string_view kBindingFaultAction =
    "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/fault";
inline constexpr std::string_view kCommon = "http://schemas.dmtf.org/wbem/wscim/1/common";
inline constexpr std::string_view kIdentity =
    "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";
inline constexpr std::string_view kMicrosoftWsman = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
inline constexpr std::string_view kMicrosoftFault = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault";
inline constexpr std::string_view kSchemaInstance = "http://www.w3.org/2001/XMLSchema-instance";

inline constexpr std::string_view kFaultDetail = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/";
inline constexpr std::string_view kDialectWql = "http://schemas.microsoft.com/wbem/wsman/1/WQL";
inline constexpr std::string_view kDialectAssociation =
    "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter";
inline constexpr std::string_view kDialectSelector =
    "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter";
inline constexpr std::string_view kDialectXPath = "http://www.w3.org/TR/1999/REC-xpath-19991116";
inline constexpr std::string_view kDialectXPathLevel1 = "http://schemas.dmtf.org/wbem/wsman/1/wsman/xpath-1";

// Ours: why a method refused, as a header of the reply that others skip.
inline constexpr std::string_view kUnderstudy = "urn:understudy:wsman:1";

inline constexpr std::string_view kContentType = "application/soap+xml;charset=UTF-8";

}  // namespace understudy::wsman
