// Enumeration: all instances of a class, or those that a filter lets through.
#include <algorithm>
#include <set>

#include "cim/fault.h"
#include "cim/object_manager.h"
#include "cim/typed.h"
#include "cim/wql.h"

namespace understudy::cim {
namespace {

constexpr size_t kMostGets = 64;  // of one class, one by one; more are picked out of all its instances

// In the schema's spelling, alphabetical, each once.
std::vector<std::string> column_names(const ClassDecl& decl, const std::vector<std::string>& columns) {
  std::set<std::string, NameLess> names;
  for (const std::string& column : columns) {
    const PropertyDecl* p = decl.property(column);
    names.emplace(p ? p->name : std::string_view(column));
  }
  return {names.begin(), names.end()};
}

struct PathLess {
  bool operator()(const ObjectPath& a, const ObjectPath& b) const { return NameLess{}(a.text(), b.text()); }
};

// The references of a link that point at the object (in the wanted role).
std::vector<const PropertyDecl*> near_ends(const ClassDecl& decl, const Instance& link,
                                           const ObjectPath& object, const std::string& role) {
  std::vector<const PropertyDecl*> ends;
  for (const PropertyDecl& p : decl.properties) {
    if (p.type != Type::reference || (!role.empty() && !same_name(p.name, role))) continue;
    if (const auto path = link.get(p.name).path(); path && path->same(object)) ends.push_back(&p);
  }
  return ends;
}

// What the link leads to from one of its ends.
void add_far_ends(const ClassDecl& decl, const Instance& link, const PropertyDecl* from,
                  const wql::Links& links, std::vector<ObjectPath>& far) {
  for (const PropertyDecl& p : decl.properties) {
    if (p.type != Type::reference || &p == from) continue;
    if (!links.result_role.empty() && !same_name(p.name, links.result_role)) continue;
    const auto path = link.get(p.name).path();
    if (path && (links.result_class.empty() || is_a(path->class_name, links.result_class)))
      far.push_back(*path);
  }
}

Outcome<void> check_links(const wql::Links& links) {
  const std::string& link_class = links.references ? links.result_class : links.association_class;
  for (const std::string& name : {link_class, links.references ? std::string() : links.result_class})
    if (!name.empty() && !find_class(name))
      return filter_fault("class " + name.substr(0, 128) + " is not known");
  if (!link_class.empty() && !find_class(link_class)->association)
    return filter_fault("class " + link_class + " is no association");
  if (links.class_definitions_only)
    return filter_fault("ClassDefsOnly is not supported: classes do not travel here");
  return {};
}

wql::Links links_of(const Filter& filter) {
  wql::Links links;
  links.references = filter.references;
  links.object = filter.object;
  links.role = filter.role;
  // With AssociationInstances either name may say which links are meant.
  links.association_class = filter.references ? std::string() : filter.association_class;
  links.result_class =
      filter.references && filter.result_class.empty() ? filter.association_class : filter.result_class;
  links.result_role = filter.result_role;
  return links;
}

}  // namespace

Outcome<Response> ObjectManager::serve(const Context& context, const EnumerateRequest& request) const {
  if (auto allowed = allow(context, Right::read, request.class_name); !allowed)
    return pass_on(std::move(allowed.error()));
  if (request.class_name != "*" && !find_class(request.class_name))
    return unknown_class_fault(request.class_name);
  US_FAULT_TRY(std::vector<Item> items, filtered(context, request));
  return Response{std::move(items), {}};
}

Outcome<std::vector<Item>> ObjectManager::filtered(const Context& context,
                                                   const EnumerateRequest& request) const {
  switch (request.filter.kind) {
    case Filter::Kind::none:
      break;
    case Filter::Kind::wql:
      return query(context, request);
    case Filter::Kind::selector:
      return with_values(context, request);
    case Filter::Kind::association: {
      US_FAULT_TRY(std::vector<Item> items, follow(context, links_of(request.filter)));
      for (Item& item : items) item.selected = request.filter.include_properties;
      return items;
    }
  }
  if (request.class_name == "*") return unreachable_fault("the class * needs a filter that names the class");
  return instances_of(context, request.class_name);
}

Outcome<std::vector<Item>> ObjectManager::query(const Context& context,
                                                const EnumerateRequest& request) const {
  const auto& parsed = request.filter.query;
  if (!parsed) return filter_fault(parsed.error().message());
  if (const auto* links = std::get_if<wql::Links>(&*parsed)) return follow(context, *links);

  const auto& select = std::get<wql::Select>(*parsed);
  if (auto valid = wql::check(select); !valid) return filter_fault(valid.error().message());
  if (request.class_name != "*" && !is_a(select.class_name, request.class_name))
    return filter_fault("the query asks for " + select.class_name + ", the resource is " +
                        request.class_name);
  if (auto allowed = allow(context, Right::read, select.class_name); !allowed)
    return pass_on(std::move(allowed.error()));

  US_FAULT_TRY(std::vector<Item> items, instances_of(context, select.class_name, wql::demanded(select)));
  std::erase_if(
      items, [&](const Item& item) { return !wql::matches(select, item.instance, item.path, server_name_); });
  const std::vector<std::string> columns = column_names(*find_class(select.class_name), select.columns);
  for (Item& item : items) item.selected = columns;
  return items;
}

// The selector dialect: scalar properties with these values.
Outcome<std::vector<Item>> ObjectManager::with_values(const Context& context,
                                                      const EnumerateRequest& request) const {
  const ClassDecl* decl = find_class(request.class_name);
  if (!decl) return filter_fault("the selector filter needs a class");
  for (const auto& [name, value] : request.filter.selectors) {
    const PropertyDecl* p = decl->property(name);
    if (!p)
      return filter_fault("class " + std::string(decl->name) + " has no property " + name.substr(0, 64));
    if (p->array || p->type == Type::datetime || p->type == Type::reference || p->type == Type::instance)
      return filter_fault("the selector filter cannot compare " + std::string(p->name));
    if (auto wanted = scalar_from_text(p->type, value); !wanted)
      return filter_fault(wanted.error().message());
  }
  US_FAULT_TRY(std::vector<Item> items, instances_of(context, decl->name));
  std::erase_if(items, [&](const Item& item) {
    return !std::ranges::all_of(request.filter.selectors, [&](const auto& wanted) {
      const Type type = decl->property(wanted.first)->type;
      const Value::Scalar* has = item.instance.get(wanted.first).scalar();
      // Both through the type, so that 0x10 is 16 and true is TRUE.
      return has && same_name(scalar_text(*has), scalar_text(*scalar_from_text(type, wanted.second)));
    });
  });
  return items;
}

Outcome<std::vector<Item>> ObjectManager::follow(const Context& context, const wql::Links& links) const {
  if (auto valid = check_links(links); !valid) return pass_on(std::move(valid.error()));
  if (auto allowed = allow(context, Right::read, links.object.class_name); !allowed)
    return pass_on(std::move(allowed.error()));
  US_FAULT_TRY(const Item object, resolve(context, links.object));

  const std::string& link_class = links.references ? links.result_class : links.association_class;
  std::vector<Item> references;
  std::vector<ObjectPath> far;
  for (const auto& [name, provider] : providers_) {
    const ClassDecl& decl = *find_class(name);
    if (!decl.association || (!link_class.empty() && !is_a(name, link_class))) continue;
    US_FAULT_TRY(std::vector<Instance> instances, provider->references(context, object.path));
    for (Instance& link : instances) {
      const auto ends = near_ends(decl, link, object.path, links.role);
      for (const PropertyDecl* end : ends) add_far_ends(decl, link, end, links, far);
      if (!links.references || ends.empty()) continue;
      ObjectPath path = path_of(link);
      if (visible(context, path)) references.push_back({std::move(path), std::move(link), {}});
    }
  }
  if (links.references) return references;
  return objects_at(context, far);
}

// The objects behind the paths, each once, in the order given; one that is gone by now is left out. Many of
// one class are taken from one enumeration.
Outcome<std::vector<Item>> ObjectManager::objects_at(const Context& context,
                                                     const std::vector<ObjectPath>& paths) const {
  std::map<std::string, size_t, NameLess> wanted;
  for (const ObjectPath& path : paths) ++wanted[path.class_name];
  std::map<ObjectPath, Instance, PathLess> known;
  for (const auto& [class_name, count] : wanted) {
    const auto provider = providers_.find(class_name);
    if (provider == providers_.end() || count <= kMostGets) continue;
    US_FAULT_TRY(std::vector<Instance> instances, provider->second->enumerate(context));
    for (Instance& instance : instances) {
      ObjectPath path = path_of(instance);
      known.emplace(std::move(path), std::move(instance));
    }
  }
  std::vector<Item> items;
  std::set<ObjectPath, PathLess> seen;
  for (const ObjectPath& path : paths) {
    if (!seen.insert(path).second || !visible(context, path)) continue;
    if (wanted[path.class_name] > kMostGets) {
      if (auto found = known.extract(path)) items.push_back({found.key(), std::move(found.mapped()), {}});
      continue;
    }
    const auto provider = providers_.find(path.class_name);
    if (provider == providers_.end()) continue;
    US_FAULT_TRY(std::optional<Instance> instance, provider->second->get(context, path));
    if (instance) items.push_back({path_of(*instance), std::move(*instance), {}});
  }
  return items;
}

}  // namespace understudy::cim
