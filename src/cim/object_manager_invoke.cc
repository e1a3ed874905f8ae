// Method calls: what the schema alone can check, before and after the provider.
#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "cim/fault.h"
#include "cim/object_manager.h"
#include "cim/typed.h"

namespace understudy::cim {
namespace {

// One element of the body: text to the declared type, an endpoint reference as it is.
Result<Value::Scalar> typed_scalar(const ParameterDecl& decl, const Value::Scalar& given) {
  if (const auto* text = std::get_if<std::string>(&given)) return scalar_from_text(decl.type, *text);
  if (fits(decl.type, given)) return given;
  return fail(ErrorCode::wrong_type, "expected a value of type " + std::string(type_name(decl.type)));
}

// <p:SnapshotSettingData/> means the same as xsi:nil for what has no empty value.
bool empty_element(const ParameterDecl& decl, const Value& given) {
  if (decl.array || (decl.type != Type::reference && decl.type != Type::datetime)) return false;
  const auto text = given.text();
  return text && text->find_first_not_of(" \t\r\n") == std::string::npos;
}

Result<Value> typed_value(const ParameterDecl& decl, const Value& given) {
  if (given.null() || empty_element(decl, given)) return Value();
  std::vector<Value::Scalar> elements;
  if (given.is_array())
    elements = *given.array();
  else
    elements.push_back(*given.scalar());
  if (!decl.array && elements.size() != 1) return fail(ErrorCode::wrong_type, "expected one value");
  for (Value::Scalar& element : elements) {
    US_TRY(Value::Scalar typed, typed_scalar(decl, element));
    element = std::move(typed);
  }
  if (decl.array) return Value(std::move(elements));
  return std::visit([](const auto& v) { return Value(v); }, elements.front());
}

Outcome<Instance> typed_parameters(const MethodDecl& method, const Instance& given) {
  Instance result{given.class_name()};
  for (const auto& [name, value] : given.properties()) {
    const ParameterDecl* decl = method.parameter(name);
    const bool only_out = decl && !decl->in;
    if (only_out && value.null()) continue;
    if (!decl || only_out)
      return body_fault("method " + std::string(method.name) + " takes no parameter " + name.substr(0, 64));
    auto typed = typed_value(*decl, value);
    if (!typed) return body_fault("parameter " + std::string(decl->name) + ": " + typed.error().message());
    result.set(decl->name, std::move(*typed));
  }
  return result;
}

// The method's return value has the numbers of errors.def.
bool returns_errors(const InvokeRequest& request) {
  const ClassDecl* decl = find_class(request.path.class_name);
  const MethodDecl* method = decl ? decl->method(request.method) : nullptr;
  return method != nullptr && method->values.empty();
}

// Of the call, the target first; bounded, for it may be anything that was asked for.
std::vector<std::string> objects_of(const ObjectPath& target, const Instance& parameters) {
  constexpr size_t kMost = 16, kMostLength = 512;
  std::vector<std::string> objects{target.text().substr(0, kMostLength)};
  const auto add = [&objects](const Value::Scalar& scalar) {
    if (const auto* path = std::get_if<ObjectPath>(&scalar); path && objects.size() < kMost)
      objects.push_back(path->text().substr(0, kMostLength));
  };
  for (const auto& [name, value] : parameters.properties()) {
    if (value.scalar()) add(*value.scalar());
    if (value.array())
      for (const Value::Scalar& one : *value.array()) add(one);
  }
  return objects;
}

}  // namespace

// A method that fails is not a fault: the client reads the ReturnValue, the operator the log.
Response ObjectManager::answered(const Uuid& call, const Context& context, const ObjectPath& target,
                                 std::string_view method, const Instance& parameters,
                                 Result<InvokeResult> result) const {
  InvokeResult answer;
  if (result) {
    answer = std::move(*result);
  } else {
    answer.return_value = error_info(result.error().code()).cim_return;
    answer.error = result.error();
  }
  log_info("cim", "method called",
           {{"class", target.class_name},
            {"method", method},
            {"caller", context.caller.name},
            {"from", context.caller.from},
            {"return", answer.return_value},
            {"error", result ? std::string() : result.error().text()}});
  witness_({call, context.caller, target.class_name, method, objects_of(target, parameters), &answer});
  return Response{{}, std::move(answer)};
}

// Whoever may do this to some VMs only: target and parameters, embedded instances too, name one of them and
// no other.
Status ObjectManager::within(const Reach& reach, const Context& context, const ObjectPath& target,
                             std::string_view method, const Instance& parameters) const {
  if (reach.everywhere) return {};
  std::set<Uuid> vms = vms_in(target.text());
  const auto add = [&](const Value::Scalar& scalar) {
    if (const auto* path = std::get_if<ObjectPath>(&scalar)) vms.merge(vms_in(path->text()));
    if (const auto* text = std::get_if<std::string>(&scalar)) vms.merge(vms_in(*text));
  };
  for (const auto& [name, value] : parameters.properties()) {
    if (value.scalar()) add(*value.scalar());
    if (value.array())
      for (const Value::Scalar& one : *value.array()) add(one);
  }
  if (!vms.empty() && std::ranges::includes(reach.vms, vms)) return {};
  return fail(
      ErrorCode::access_denied,
      target.class_name + "." + std::string(method) + ": the caller, who is " + context.caller.role +
          ", may not do this " + (vms.empty() ? "to the host" : "to every VM that is named"),
      "have an administrator do it, or give the caller the role: understudy user add NAME --role ROLE@UUID");
}

Outcome<Response> ObjectManager::serve(const Context& context, const InvokeRequest& request) const {
  const Uuid call = Uuid::random();
  auto reach = allow(context, Right::execute, request.path.class_name, request.method);
  if (reach)
    if (Status inside = within(*reach, context, request.path, request.method, request.parameters); !inside)
      reach = fault(std::move(inside.error()), "w:AccessDenied");
  if (!reach) {
    Response refused =
        answered(call, context, request.path, request.method, request.parameters, fail(reach.error().error));
    if (!returns_errors(request)) return pass_on(std::move(reach.error()));
    return refused;
  }
  const ClassDecl* named = find_class(request.path.class_name);
  if (!named) return unknown_class_fault(request.path.class_name);
  if (!named->method(request.method))
    return fault(Error(ErrorCode::not_supported, "class " + std::string(named->name) + " has no method " +
                                                     request.method.substr(0, 64)),
                 "a:ActionNotSupported");
  US_FAULT_TRY(const Item target, resolve(context, request.path));
  const MethodDecl& method = *find_class(target.path.class_name)->method(request.method);
  US_FAULT_TRY(const Instance parameters, typed_parameters(method, request.parameters));
  // Keys may have been left out.
  if (Status inside = within(*reach, context, target.path, method.name, request.parameters); !inside)
    return answered(call, context, target.path, method.name, parameters, fail(std::move(inside.error())));

  const auto provider = providers_.find(target.path.class_name);
  US_ASSERT(provider != providers_.end());  // a provider gives instances of its own class
  witness_({call, context.caller, target.path.class_name, method.name, objects_of(target.path, parameters),
            nullptr});
  auto result = provider->second->invoke(context, target.path, target.instance, method.name, parameters);
  return answered(call, context, target.path, method.name, parameters, std::move(result));
}

}  // namespace understudy::cim
