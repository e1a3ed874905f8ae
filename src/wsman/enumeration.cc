#include "wsman/enumeration.h"

#include <algorithm>
#include <charconv>

#include "base/ids.h"
#include "cim/datetime.h"
#include "wsman/codec.h"
#include "wsman/envelope.h"
#include "wsman/names.h"

namespace understudy::wsman {
namespace {

using cim::Filter;
using cim::XmlNode;

tl::unexpected<cim::Fault> refuse(std::string message, std::string subcode, std::string detail = {}) {
  return tl::unexpected(make_fault(Error(ErrorCode::invalid_parameter, std::move(message)),
                                   std::move(subcode), std::move(detail)));
}

// A number above 0; one that is too large for any purpose is the largest.
cim::Outcome<size_t> read_count(const XmlNode& element, size_t largest) {
  const std::string_view text = trim(element.text);
  size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc::result_out_of_range) return largest;
  if (error != std::errc() || end != text.data() + text.size() || count == 0)
    return refuse(element.name + " is not a number above 0", "w:SchemaValidationError");
  return std::min(count, largest);
}

cim::Outcome<void> check_duration(const XmlNode& element) {
  const auto length = cim::parse_xs_datetime(trim(element.text));
  if (!length || !length->interval || length->us < 0)
    return refuse(element.name + " is not a duration such as PT60S", "w:SchemaValidationError");
  return {};
}

cim::Outcome<EnumerationMode> read_mode(std::string_view text) {
  if (text.empty() || text == "EnumerateObject") return EnumerationMode::object;
  if (text == "EnumerateEPR") return EnumerationMode::endpoint;
  if (text == "EnumerateObjectAndEPR") return EnumerationMode::object_and_endpoint;
  return refuse("unknown EnumerationMode", "w:UnsupportedFeature", "EnumerationMode");
}

cim::Outcome<Filter> read_association(const XmlNode& element) {
  Filter filter;
  filter.kind = Filter::Kind::association;
  const XmlNode* wanted = element.child("AssociatedInstances");
  if (const XmlNode* links = element.child("AssociationInstances")) {
    if (wanted)
      return refuse("the association filter asks for both objects and links", "n:CannotProcessFilter");
    wanted = links;
    filter.references = true;
  }
  const XmlNode* object = wanted ? wanted->child("Object") : nullptr;
  if (!object || !is_reference(*object))
    return refuse("the association filter names no b:Object", "n:CannotProcessFilter");
  auto path = read_reference(*object);
  if (!path) return refuse(path.error().message(), "n:CannotProcessFilter");
  filter.object = std::move(*path);
  for (const XmlNode& child : wanted->children) {
    const std::string text(trim(child.text));
    if (child.name == "AssociationClassName") filter.association_class = text;
    if (child.name == "Role") filter.role = text;
    if (child.name == "ResultClassName") filter.result_class = text;
    if (child.name == "ResultRole") filter.result_role = text;
    if (child.name == "IncludeResultProperty") filter.include_properties.push_back(text);
  }
  return filter;
}

cim::Outcome<Filter> read_filter(const XmlNode& element) {
  const std::string* dialect = element.attribute("Dialect");
  const std::string name(dialect ? trim(*dialect) : std::string_view());
  Filter filter;
  if (name == kDialectWql) {
    filter.kind = Filter::Kind::wql;
    filter.query = cim::wql::parse(trim(element.text));
    return filter;
  }
  if (name == kDialectAssociation) return read_association(element);
  if (name == kDialectSelector) {
    const XmlNode* set = element.child("SelectorSet");
    auto selectors =
        set ? read_selectors(*set, nullptr) : refuse("the selector filter has no w:SelectorSet", {});
    if (!selectors) return refuse(selectors.error().error.message(), "n:CannotProcessFilter");
    filter.kind = Filter::Kind::selector;
    filter.selectors = std::move(*selectors);
    return filter;
  }
  return refuse("the filter dialect '" + name + "' is not offered; use " + std::string(kDialectWql),
                "n:FilterDialectRequestedUnavailable");
}

}  // namespace

cim::Outcome<EnumerateBody> read_enumerate(const XmlNode* body) {
  if (!body || body->ns != kEnumeration || body->name != "Enumerate")
    return refuse("the body is no n:Enumerate", "w:SchemaValidationError");
  EnumerateBody out;
  for (const XmlNode& child : body->children) {
    if (child.ns != kWsman && child.ns != kEnumeration) continue;
    if (child.name == "OptimizeEnumeration") {
      out.optimise = true;
    } else if (child.name == "MaxElements") {
      auto count = read_count(child, kMostItemsKept);
      if (!count) return tl::unexpected(count.error());
      out.most_elements = *count;
    } else if (child.name == "EnumerationMode") {
      auto mode = read_mode(trim(child.text));
      if (!mode) return tl::unexpected(mode.error());
      out.mode = *mode;
    } else if (child.name == "EndTo") {
      return refuse("n:EndTo is not offered: an enumeration that ends early ends without a word",
                    "w:UnsupportedFeature", "AddressingMode");
    } else if (child.name == "Filter") {
      if (out.filter.kind != Filter::Kind::none)
        return refuse("there are two filters", "n:CannotProcessFilter");
      auto filter = read_filter(child);
      if (!filter) return tl::unexpected(filter.error());
      out.filter = std::move(*filter);
    }
  }
  return out;
}

cim::Outcome<PullBody> read_pull(const XmlNode* body) {
  if (!body || body->ns != kEnumeration || body->name != "Pull")
    return refuse("the body is no n:Pull", "w:SchemaValidationError");
  PullBody out;
  out.context = read_context(body);
  if (const XmlNode* most = body->child("MaxElements")) {
    auto count = read_count(*most, kMostItemsKept);
    if (!count) return tl::unexpected(count.error());
    out.most_elements = *count;
  }
  if (const XmlNode* most = body->child("MaxCharacters")) {
    auto count = read_count(*most, out.most_characters);
    if (!count) return tl::unexpected(count.error());
    out.most_characters = *count;
  }
  // Everything is at hand: there is nothing to wait for.
  if (const XmlNode* time = body->child("MaxTime"))
    if (auto valid = check_duration(*time); !valid) return tl::unexpected(valid.error());
  return out;
}

std::string read_context(const XmlNode* body) {
  const XmlNode* context = body ? body->child("EnumerationContext") : nullptr;
  return context ? std::string(trim(context->text)) : std::string();
}

std::string owner_of(const authz::Identity& identity) {
  return identity.method + ":" + identity.name;
}

void EnumerationTable::drop_expired(Monotonic now) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.until < now; });
}

cim::Outcome<std::string> EnumerationTable::put(Enumeration enumeration, std::string context) {
  const Monotonic now = clock_.now().monotonic;
  const std::lock_guard hold(lock_);
  drop_expired(now);
  size_t items = enumeration.left();
  size_t of_one = 0;
  for (const auto& [id, entry] : entries_) {
    items += entry.enumeration.left();
    of_one += entry.enumeration.owner == enumeration.owner ? 1u : 0u;
  }
  if (entries_.size() >= limits::kMostEnumerations || of_one >= kMostEnumerationsOfOne ||
      items > kMostItemsKept)
    return tl::unexpected(
        make_fault(Error(ErrorCode::out_of_memory, "too many enumerations are open",
                         "pull them to their end, or release them; an idle one ends after a minute"),
                   "w:QuotaLimit"));
  if (context.empty()) context = "uuid:" + Uuid::random().upper();
  entries_[context] = {std::move(enumeration), now + limits::kEnumerationIdle};
  return context;
}

std::unique_ptr<Enumeration> EnumerationTable::take(const std::string& context, const std::string& owner) {
  const Monotonic now = clock_.now().monotonic;
  const std::lock_guard hold(lock_);
  drop_expired(now);
  const auto found = entries_.find(context);
  if (found == entries_.end() || found->second.enumeration.owner != owner) return nullptr;
  auto taken = std::make_unique<Enumeration>(std::move(found->second.enumeration));
  entries_.erase(found);
  return taken;
}

size_t EnumerationTable::size() const {
  const std::lock_guard hold(lock_);
  return entries_.size();
}

}  // namespace understudy::wsman
