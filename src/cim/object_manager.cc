#include "cim/object_manager.h"

#include <algorithm>

#include "base/assert.h"
#include "cim/fault.h"
#include "cim/typed.h"

namespace understudy::cim {
namespace {

// Whether every selector given is among the keys of the full path, with that value.
bool means(const ObjectPath& given, const ObjectPath& full) {
  ObjectPath part{given.class_name, {}};
  for (const auto& [name, value] : full.keys)
    if (given.keys.contains(name)) part.keys.emplace(name, value);
  return part.same(given);
}

bool complete(const ClassDecl& decl, const ObjectPath& path) {
  return std::ranges::all_of(decl.properties, [&](const PropertyDecl& p) {
    return !p.key || path.keys.find(p.name) != path.keys.end();
  });
}

// Of the values given, those that are keys of this class.
ObjectPath keys_of(const ClassDecl& decl, const ObjectPath& given) {
  ObjectPath path{std::string(decl.name), {}};
  for (const auto& [name, value] : given.keys)
    if (const PropertyDecl* p = decl.property(name); p && p->key) path.keys.emplace(p->name, value);
  return path;
}

Outcome<void> check_selectors(const ClassDecl& decl, const ObjectPath& path) {
  for (const auto& [name, value] : path.keys) {
    const PropertyDecl* p = decl.property(name);
    if (!p || !p->key)
      return selector_fault(name.substr(0, 64) + " is no key of " + std::string(decl.name),
                            "UnexpectedSelectors");
    if (!scalar_from_text(p->type, value))
      return selector_fault("the value of key " + name + " is no " + std::string(type_name(p->type)),
                            p->type == Type::reference ? "InvalidValue" : "TypeMismatch");
  }
  return {};
}

}  // namespace

Result<std::vector<Instance>> Provider::candidates(const Context& context, const ObjectPath&) {
  return enumerate(context);
}

Result<std::optional<Instance>> Provider::get(const Context& context, const ObjectPath& path) {
  US_TRY(std::vector<Instance> all, candidates(context, path));
  for (Instance& instance : all)
    if (path_of(instance).same(path)) return std::optional(std::move(instance));
  return std::nullopt;
}

Result<std::vector<Instance>> Provider::references(const Context& context, const ObjectPath&) {
  return enumerate(context);
}

Result<InvokeResult> Provider::invoke(const Context&, const ObjectPath&, const Instance&,
                                      std::string_view method, const Instance&) {
  return fail(ErrorCode::not_supported,
              std::string(class_name()) + "." + std::string(method) + " is not supported");
}

ObjectManager::ObjectManager(Authorize authorize, std::string server_name, Witness witness, VmOf vm_of)
    : authorize_(std::move(authorize)),
      server_name_(std::move(server_name)),
      witness_(witness ? std::move(witness) : [](const Called&) {}),
      vm_of_(vm_of ? std::move(vm_of) : [](const Uuid& guid) { return guid; }) {
  US_ASSERT(authorize_ != nullptr);
}
ObjectManager::~ObjectManager() = default;

void ObjectManager::add(std::unique_ptr<Provider> provider) {
  const ClassDecl* decl = find_class(provider->class_name());
  US_ASSERT(decl != nullptr && !decl->abstract);
  const bool added = providers_.emplace(decl->name, std::move(provider)).second;
  US_ASSERT(added);
}

Outcome<Response> ObjectManager::handle(const Caller& caller, const Request& request) {
  const auto reach = authorize_(caller, Right::read, {}, {});
  const Context context{caller, !reach || !reach->everywhere};
  return std::visit([&](const auto& r) { return serve(context, r); }, request);
}

Outcome<Reach> ObjectManager::allow(const Context& context, Right right, std::string_view class_name,
                                    std::string_view method) const {
  auto reach = authorize_(context.caller, right, class_name, method);
  if (!reach) return fault(std::move(reach.error()), "w:AccessDenied");
  return std::move(*reach);
}

std::set<Uuid> ObjectManager::vms_in(std::string_view text) const {
  constexpr size_t kLength = 36;
  std::set<Uuid> vms;
  for (size_t at = 0; at + kLength <= text.size(); ++at) {
    if (text[at + 8] != '-') continue;
    if (const auto guid = Uuid::parse(text.substr(at, kLength))) vms.insert(vm_of_(*guid));
  }
  return vms;
}

bool ObjectManager::visible(const Context& context, const ObjectPath& path) const {
  if (!context.limited) return true;
  const auto reach = authorize_(context.caller, Right::read, path.class_name, {});
  if (!reach) return false;
  if (reach->everywhere) return true;
  const std::set<Uuid> vms = vms_in(path.text());
  return vms.empty() ? reach->host_objects : std::ranges::includes(reach->vms, vms);
}

Outcome<Response> ObjectManager::serve(const Context& context, const GetRequest& request) const {
  if (auto allowed = allow(context, Right::read, request.path.class_name); !allowed)
    return pass_on(std::move(allowed.error()));
  US_FAULT_TRY(Item item, resolve(context, request.path));
  Response response;
  response.items.push_back(std::move(item));
  return response;
}

std::vector<Provider*> ObjectManager::providers_below(std::string_view class_name) const {
  std::vector<Provider*> result;
  for (const auto& [name, provider] : providers_)
    if (is_a(name, class_name)) result.push_back(provider.get());
  return result;
}

Outcome<std::vector<Item>> ObjectManager::instances_of(const Context& context, std::string_view class_name,
                                                       const ObjectPath& keys) const {
  std::vector<Item> items;
  for (Provider* provider : providers_below(class_name)) {
    const ObjectPath known = keys_of(*find_class(provider->class_name()), keys);
    US_FAULT_TRY(std::vector<Instance> instances,
                 known.keys.empty() ? provider->enumerate(context) : provider->candidates(context, known));
    for (Instance& instance : instances) {
      ObjectPath path = path_of(instance);
      if (visible(context, path)) items.push_back({std::move(path), std::move(instance), {}});
    }
  }
  return items;
}

// Keys may be left out as long as one instance answers to the rest: clients name a service by
// CreationClassName only.
Outcome<Item> ObjectManager::resolve(const Context& context, const ObjectPath& path) const {
  const ClassDecl* decl = find_class(path.class_name);
  if (!decl) return unknown_class_fault(path.class_name);
  const std::vector<Provider*> providers = providers_below(decl->name);
  if (providers.empty())  // such as Msvm_ReplicationStatistics, which travels embedded only
    return unreachable_fault("class " + std::string(decl->name) + " has no instances");
  if (auto valid = check_selectors(*decl, path); !valid) return pass_on(std::move(valid.error()));

  std::vector<Item> found;
  for (Provider* provider : providers) {
    const ClassDecl& concrete = *find_class(provider->class_name());
    ObjectPath given{std::string(concrete.name), path.keys};
    if (complete(concrete, given)) {
      US_FAULT_TRY(std::optional<Instance> instance, provider->get(context, given));
      if (instance) found.push_back({path_of(*instance), std::move(*instance), {}});
      continue;
    }
    US_FAULT_TRY(std::vector<Instance> all,
                 given.keys.empty() ? provider->enumerate(context) : provider->candidates(context, given));
    for (Instance& instance : all)
      if (ObjectPath full = path_of(instance); means(given, full))
        found.push_back({std::move(full), std::move(instance), {}});
  }
  std::erase_if(found, [&](const Item& item) { return !visible(context, item.path); });
  if (found.size() == 1) return std::move(found.front());
  if (found.size() > 1)
    return selector_fault(
        path.text().substr(0, 256) + " means " + std::to_string(found.size()) + " instances",
        "InsufficientSelectors");
  if (path.keys.empty() || complete(*decl, path))
    return unreachable_fault("there is no " + path.text().substr(0, 256));
  return selector_fault("no instance answers to " + path.text().substr(0, 256), "InvalidValue");
}

}  // namespace understudy::cim
