// The seam between the front (who is calling, HTTP, XML) and the object manager: values, both ways, with an
// encoding possible for each. The front has proven the identity before it makes a Request; the object manager
// checks the right to the operation before it looks at anything else.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/blank.h"
#include "cim/wql.h"

namespace understudy::cim {

// Who calls, as the front proved it. There is no default identity: a Caller exists or it does not.
struct Caller {
  std::string name;    // user of the password file, name of the certificate, "root" on the unix socket
  std::string method;  // "basic", "certificate", "unix"
  std::string from;    // peer address, or "unix"
  std::string role;    // as authz/ says it for this name: "operator", "reader,operator@UUID", ...
};

struct GetRequest {
  ObjectPath path;  // keys as given: may be partial, see ObjectManager
};
struct Filter {
  enum class Kind : uint8_t { none, wql, association, selector };
  Kind kind = Kind::none;
  // SELECT, ASSOCIATORS OF or REFERENCES OF; what is not understood is refused in its turn.
  Result<wql::Query> query{wql::Select()};
  // association dialect
  bool references =
      false;  // AssociationInstances (the links) instead of AssociatedInstances (the far objects)
  ObjectPath object;
  std::string association_class, role, result_class, result_role;
  std::vector<std::string> include_properties;
  // selector dialect
  std::map<std::string, std::string, NameLess> selectors;
};
struct EnumerateRequest {
  std::string class_name;  // "*" when the filter names the class
  Filter filter;
};
struct InvokeRequest {
  ObjectPath path;
  std::string method;
  Instance parameters;  // class_name is "METHOD_INPUT"; embedded instances still as CIM-XML text
};
using Request = std::variant<GetRequest, EnumerateRequest, InvokeRequest>;

// One instance with its full path. `selected` is not empty when a SELECT list restricts what is written out.
struct Item {
  ObjectPath path;
  Instance instance;
  std::vector<std::string> selected;
};
struct InvokeResult {
  uint32_t return_value = 0;
  Instance out;  // out parameters by name
  // Why the method refused: travels as a SOAP header of our own beside the documented ReturnValue, which says
  // no more than a number. Clients that do not know the header skip it.
  std::optional<Error> error;
  std::string remark = {};  // for the audit trail; stays on this side
};
struct Response {
  std::vector<Item> items;  // Get: one; Enumerate: all
  std::optional<InvokeResult> invoked;
};

// A request that has no answer: becomes a WS-Man fault. `detail` is the last part of the fault detail URI
// ("InvalidResourceURI", "InsufficientSelectors", ...), may be empty; `subcode` overrides the row of
// errors.def
// ("w:InvalidSelectors", "n:CannotProcessFilter", ...), may be empty.
struct Fault {
  Error error;
  std::string subcode;
  std::string detail;
};

template <class T>
using Outcome = tl::expected<T, Fault>;

// How each travels between processes (base/pack.h).
template <class F>
void fields(F& f, GetRequest& request) {
  f(request.path);
}
template <class F>
void fields(F& f, Filter& filter) {
  f.choice(filter.kind, Filter::Kind::selector);
  f(filter.query, filter.references, filter.object, filter.association_class, filter.role,
    filter.result_class, filter.result_role, filter.include_properties, filter.selectors);
}
template <class F>
void fields(F& f, EnumerateRequest& request) {
  f(request.class_name, request.filter);
}
template <class F>
void fields(F& f, InvokeRequest& request) {
  f(request.path, request.method, request.parameters);
}
template <class F>
void fields(F& f, Item& item) {
  f(item.path, item.instance, item.selected);
}
template <class F>
void fields(F& f, InvokeResult& result) {
  f(result.return_value, result.out, result.error);
}
template <class F>
void fields(F& f, Response& response) {
  f(response.items, response.invoked);
}
template <class F>
void fields(F& f, Fault& fault) {
  f(fault.error, fault.subcode, fault.detail);
}

// What the front calls. Thread-safe; blocks at most limits::kMethodReply.
class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  virtual Outcome<Response> handle(const Caller& caller, const Request& request) = 0;
};

}  // namespace understudy::cim

template <>
struct understudy::Blank<understudy::cim::Fault> {
  static cim::Fault make() { return {Blank<Error>::make(), {}, {}}; }
};
