#include "model/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/assert.h"
#include "base/base64.h"

namespace understudy {
namespace {
using Json = nlohmann::json;

tl::unexpected<Error> damaged(std::string_view path, std::string_view why) {
  return fail(ErrorCode::corrupt, std::string(path.substr(0, 200)) + ": " + std::string(why));
}

// Watches the parser: too deep, or a name that comes twice.
class ParseGuard {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      if (static_cast<size_t>(depth) >= kMostJsonDepth) too_deep_ = true;
      if (!too_deep_ && event == Json::parse_event_t::object_start) names_.emplace_back();
    } else if (!too_deep_ && event == Json::parse_event_t::object_end) {
      names_.pop_back();
    } else if (!too_deep_ && event == Json::parse_event_t::key) {
      if (!names_.back().insert(parsed.get<std::string>()).second && twice_.empty())
        twice_ = parsed.get<std::string>();
    }
    return !too_deep_;
  }
  Status status() const {
    if (too_deep_)
      return fail(ErrorCode::corrupt,
                  "JSON is nested more than " + std::to_string(kMostJsonDepth) + " levels deep");
    if (!twice_.empty()) return damaged(twice_, "comes twice in one JSON object");
    return {};
  }

 private:
  std::vector<std::set<std::string>> names_;
  std::string twice_;
  bool too_deep_ = false;
};

// The member, or the error that says it is not there.
Result<const Json*> member(const Json& object, std::string_view name) {
  const auto found = object.find(std::string(name));
  if (found == object.end()) return damaged(name, "missing");
  return &*found;
}
Result<std::string> as_string(const Json& value, std::string_view path) {
  if (!value.is_string()) return damaged(path, "not a text");
  std::string text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) return damaged(path, "holds a NUL");
  return text;
}
Result<uint64_t> as_number(const Json& value, std::string_view path) {
  if (!value.is_number_unsigned()) return damaged(path, "not a whole number from 0 to 18446744073709551615");
  return value.get<uint64_t>();
}
Result<int64_t> as_signed(const Json& value, std::string_view path) {
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX))
    return damaged(path, "not a whole number that fits 64 bits");
  return value.get<int64_t>();
}
Result<std::vector<std::string>> as_strings(const Json& value, std::string_view path) {
  if (!value.is_array()) return damaged(path, "not a list");
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (const Json& one : value) {
    US_TRY(std::string text, as_string(one, path));
    texts.push_back(std::move(text));
  }
  return texts;
}
}  // namespace

// --- JsonObject ---

struct JsonObject::State {
  Json json = Json::object();
};

JsonObject::JsonObject() : state_(std::make_unique<State>()) {}
JsonObject::JsonObject(const JsonObject& other) : state_(std::make_unique<State>(*other.state_)) {}
JsonObject::JsonObject(JsonObject&& other) noexcept = default;
JsonObject& JsonObject::operator=(JsonObject other) noexcept {
  state_.swap(other.state_);
  return *this;
}
JsonObject::~JsonObject() = default;

Result<JsonObject> JsonObject::parse(std::string_view text, size_t most_bytes) {
  if (text.size() > most_bytes)
    return fail(ErrorCode::too_large, "JSON of " + std::to_string(text.size()) + " bytes, more than the " +
                                          std::to_string(most_bytes) + " allowed here");
  ParseGuard guard;
  Json parsed = Json::parse(text, std::ref(guard), false);
  US_CHECK(guard.status());
  if (!parsed.is_object()) return fail(ErrorCode::corrupt, "not a JSON object");
  JsonObject object;
  object.state_->json = std::move(parsed);
  return object;
}

std::string JsonObject::text() const {
  return state_->json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void JsonObject::set(std::string_view name, std::string_view value) {
  state_->json[std::string(name)] = value;
}
void JsonObject::set(std::string_view name, const std::vector<std::string>& values) {
  state_->json[std::string(name)] = values;
}
void JsonObject::set(std::string_view name, const JsonObject& value) {
  state_->json[std::string(name)] = value.state_->json;
}
void JsonObject::set(std::string_view name, const std::vector<JsonObject>& values) {
  Json list = Json::array();
  for (const JsonObject& one : values) list.push_back(one.state_->json);
  state_->json[std::string(name)] = std::move(list);
}
void JsonObject::set_flag(std::string_view name, bool value) {
  state_->json[std::string(name)] = value;
}
void JsonObject::set_number(std::string_view name, uint64_t value) {
  state_->json[std::string(name)] = value;
}
void JsonObject::set_signed(std::string_view name, int64_t value) {
  state_->json[std::string(name)] = value;
}

bool JsonObject::has(std::string_view name) const {
  return state_->json.contains(std::string(name));
}
Result<std::string> JsonObject::text(std::string_view name) const {
  US_TRY(const Json* value, member(state_->json, name));
  return as_string(*value, name);
}
Result<uint64_t> JsonObject::number(std::string_view name) const {
  US_TRY(const Json* value, member(state_->json, name));
  return as_number(*value, name);
}
Result<int64_t> JsonObject::signed_number(std::string_view name) const {
  US_TRY(const Json* value, member(state_->json, name));
  return as_signed(*value, name);
}
Result<bool> JsonObject::flag(std::string_view name) const {
  US_TRY(const Json* value, member(state_->json, name));
  if (!value->is_boolean()) return damaged(name, "neither true nor false");
  return value->get<bool>();
}
Result<std::vector<std::string>> JsonObject::texts(std::string_view name) const {
  US_TRY(const Json* value, member(state_->json, name));
  return as_strings(*value, name);
}
Result<JsonObject> JsonObject::object(std::string_view name) const {
  US_TRY(const Json* value, member(state_->json, name));
  if (!value->is_object()) return damaged(name, "not an object");
  JsonObject object;
  object.state_->json = *value;
  return object;
}
Result<std::vector<JsonObject>> JsonObject::objects(std::string_view name) const {
  US_TRY(const Json* value, member(state_->json, name));
  if (!value->is_array()) return damaged(name, "not a list");
  std::vector<JsonObject> objects;
  for (const Json& one : *value) {
    if (!one.is_object()) return damaged(name, "not a list of objects");
    objects.emplace_back().state_->json = one;
  }
  return objects;
}

// --- JsonFields ---

struct JsonFields::State {
  explicit State(bool is_reading, JsonObject object) : reading(is_reading), root(std::move(object)) {
    at.push_back(&root.state_->json);
  }
  std::string path(std::string_view name) const {
    std::string whole;
    for (const std::string& step : steps) whole += (whole.empty() || step.front() == '[' ? "" : ".") + step;
    if (!name.empty()) whole += (whole.empty() || name.front() == '[' ? "" : ".") + std::string(name);
    return whole;
  }
  void refuse(std::string_view name, std::string_view why) {
    if (!error) error = damaged(path(name), why).value();
  }
  // The member to read, or nullptr after the walk has ended.
  const Json* find(std::string_view name) {
    if (error) return nullptr;
    const auto found = member(*at.back(), name);
    if (!found) refuse(name, "missing");
    return found ? *found : nullptr;
  }
  template <class T>
  std::optional<T> accept(Result<T> result) {
    if (result) return std::move(*result);
    if (!error) error = result.error();
    return std::nullopt;
  }
  Json& put(std::string_view name) { return (*at.back())[std::string(name)]; }

  bool reading;
  JsonObject root;
  std::vector<Json*> at;  // the containers entered, outermost first
  std::vector<std::string> steps;
  std::optional<Error> error;
};

JsonFields::JsonFields(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonFields::JsonFields(JsonFields&&) noexcept = default;
JsonFields::~JsonFields() = default;
JsonFields JsonFields::writer() {
  return JsonFields(std::make_unique<State>(false, JsonObject()));
}
JsonFields JsonFields::reader(JsonObject object) {
  return JsonFields(std::make_unique<State>(true, std::move(object)));
}
bool JsonFields::reading() const {
  return state_->reading;
}
Status JsonFields::status() const {
  if (state_->error) return fail(*state_->error);
  return {};
}
JsonObject JsonFields::take() {
  US_ASSERT(!reading() && state_->at.size() == 1);
  return std::move(state_->root);
}
void JsonFields::refuse(std::string_view name, std::string_view why) {
  if (reading()) state_->refuse(name, why);
}

void JsonFields::text(std::string_view name, std::string& value, size_t most, size_t least) {
  if (!reading()) {
    state_->put(name) = value;
    return;
  }
  const Json* found = state_->find(name);
  if (!found) return;
  auto text = state_->accept(as_string(*found, state_->path(name)));
  if (!text) return;
  if (text->size() < least || text->size() > most)
    return refuse(name, "a text of " + std::to_string(text->size()) + " bytes, want " +
                            std::to_string(least) + " to " + std::to_string(most));
  value = std::move(*text);
}

void JsonFields::texts(std::string_view name, std::vector<std::string>& values, size_t most_items,
                       size_t most_length) {
  if (!reading()) {
    state_->put(name) = values;
    return;
  }
  const Json* found = state_->find(name);
  if (!found) return;
  if (found->is_array() && found->size() > most_items)
    return refuse(
        name, "a list of " + std::to_string(found->size()) + ", want at most " + std::to_string(most_items));
  auto texts = state_->accept(as_strings(*found, state_->path(name)));
  if (!texts) return;
  for (const std::string& text : *texts)
    if (text.size() > most_length)
      return refuse(name, "holds a text of " + std::to_string(text.size()) + " bytes, want at most " +
                              std::to_string(most_length));
  values = std::move(*texts);
}

void JsonFields::bytes(std::string_view name, Bytes& value, size_t most, size_t least) {
  std::string spelled = reading() ? std::string() : to_base64(value);
  text(name, spelled, base64_size(most));
  if (!reading() || state_->error) return;
  auto decoded = from_base64(spelled);
  if (!decoded) return refuse(name, decoded.error().message());
  if (decoded->size() < least || decoded->size() > most)
    return refuse(name, std::to_string(decoded->size()) + " bytes, want " + std::to_string(least) + " to " +
                            std::to_string(most));
  value = std::move(*decoded);
}

void JsonFields::flag(std::string_view name, bool& value) {
  if (!reading()) {
    state_->put(name) = value;
    return;
  }
  const Json* found = state_->find(name);
  if (!found) return;
  if (!found->is_boolean()) return refuse(name, "neither true nor false");
  value = found->get<bool>();
}

void JsonFields::id(std::string_view name, Uuid& value) {
  std::string spelled = value.lower();
  text(name, spelled, 38);
  if (!reading() || state_->error) return;
  const auto parsed = Uuid::parse(spelled);
  if (!parsed) return refuse(name, parsed.error().message());
  value = *parsed;
}

void JsonFields::time(std::string_view name, Wall& value) {
  std::string spelled = iso_time(value);
  text(name, spelled, 40);
  if (!reading() || state_->error) return;
  const auto parsed = parse_iso_time(spelled);
  if (!parsed) return refuse(name, parsed.error().message());
  value = *parsed;
}

void JsonFields::signed_number(std::string_view name, int64_t& value, int64_t least, int64_t most) {
  if (!reading()) {
    state_->put(name) = value;
    return;
  }
  const Json* found = state_->find(name);
  if (!found) return;
  const auto number = state_->accept(as_signed(*found, state_->path(name)));
  if (!number) return;
  if (*number < least || *number > most)
    return refuse(
        name, std::to_string(*number) + ", want " + std::to_string(least) + " to " + std::to_string(most));
  value = *number;
}

void JsonFields::wide_number(std::string_view name, uint64_t& value, uint64_t least, uint64_t most) {
  if (!reading()) {
    state_->put(name) = value;
    return;
  }
  const Json* found = state_->find(name);
  if (!found) return;
  const auto number = state_->accept(as_number(*found, state_->path(name)));
  if (!number) return;
  if (*number < least || *number > most)
    return refuse(
        name, std::to_string(*number) + ", want " + std::to_string(least) + " to " + std::to_string(most));
  value = *number;
}

void JsonFields::listed_number(std::string_view name, uint64_t& value, const std::vector<uint64_t>& allowed) {
  uint64_t number = value;
  wide_number(name, number, 0, UINT64_MAX);
  if (!reading() || state_->error) return;
  if (std::find(allowed.begin(), allowed.end(), number) == allowed.end())
    return refuse(name, std::to_string(number) + " is not a value it can have");
  value = number;
}

bool JsonFields::absent(std::string_view name) const {
  return state_->error || !state_->at.back()->contains(std::string(name));
}

bool JsonFields::enter(std::string_view name) {
  if (reading()) {
    const Json* found = state_->find(name);
    if (!found) return false;
    if (!found->is_object()) {
      refuse(name, "not an object");
      return false;
    }
    state_->at.push_back(const_cast<Json*>(found));
  } else {
    Json& made = state_->put(name);
    made = Json::object();
    state_->at.push_back(&made);
  }
  state_->steps.emplace_back(name);
  return true;
}

// Always enters something, so that the caller always leaves: after an error, a list that is taken as empty.
size_t JsonFields::enter_array(std::string_view name, size_t size, size_t most) {
  if (!reading()) {
    Json& made = state_->put(name);
    made = Json::array();
    state_->at.push_back(&made);
    state_->steps.emplace_back(name);
    return size;
  }
  const Json* found = state_->find(name);
  if (found && !found->is_array())
    refuse(name, "not a list");
  else if (found && found->size() > most)
    refuse(name, "a list of " + std::to_string(found->size()) + ", want at most " + std::to_string(most));
  const bool good = found && !state_->error;
  state_->at.push_back(good ? const_cast<Json*>(found) : state_->at.back());
  state_->steps.emplace_back(name);
  return good ? found->size() : 0;
}

bool JsonFields::enter_element(size_t index) {
  const std::string step = "[" + std::to_string(index) + "]";
  if (!reading()) {
    state_->at.back()->push_back(Json::object());
    state_->at.push_back(&state_->at.back()->back());
  } else {
    if (state_->error) return false;
    Json& element = (*state_->at.back())[index];
    if (!element.is_object()) {
      refuse(step, "not an object");
      return false;
    }
    state_->at.push_back(&element);
  }
  state_->steps.push_back(step);
  return true;
}

void JsonFields::leave() {
  state_->at.pop_back();
  state_->steps.pop_back();
}

// --- sealed ---

std::string seal(std::string_view kind, uint32_t version, const JsonObject& value) {
  JsonObject object;
  object.set("kind", kind);
  object.set("version", version);
  object.set("value", value);
  return object.text();
}

Result<Sealed> unseal(std::string_view text, std::string_view kind, uint32_t least_version,
                      uint32_t most_version, size_t most_bytes) {
  US_TRY(const JsonObject object, JsonObject::parse(text, most_bytes));
  US_TRY(const std::string found_kind, object.text("kind"));
  if (found_kind != kind)
    return damaged("kind", "'" + found_kind.substr(0, 64) + "', want '" + std::string(kind) + "'");
  US_TRY(const uint64_t version, object.number("version"));
  if (version < least_version || version > most_version)
    return fail(ErrorCode::not_supported,
                std::string(kind) + " of version " + std::to_string(version) + "; this product reads " +
                    std::to_string(least_version) + " to " + std::to_string(most_version),
                "use the version of Understudy that wrote it, or a newer one");
  US_TRY(JsonObject value, object.object("value"));
  return Sealed{static_cast<uint32_t>(version), std::move(value)};
}

}  // namespace understudy
