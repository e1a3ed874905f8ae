#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "cim/typed.h"

namespace understudy::cli {
namespace {

// Code points, which is what a terminal shows for the names that occur.
size_t width(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string scalar_words(const cim::Value::Scalar& scalar) {
  if (const auto* time = std::get_if<cim::DateTime>(&scalar))
    return time->interval ? std::to_string(Duration{time->us}.whole_seconds()) : iso_time(Wall{time->us});
  return cim::scalar_text(scalar);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = c == '\n' ? ' ' : '?';
  return shown;
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  size_t unit = 0;
  uint64_t tenths = bytes * 10;
  if (bytes > UINT64_MAX / 10) return std::to_string(bytes >> 40) + " TiB";
  while (tenths >= 10240 && unit + 1 < kUnits.size()) tenths /= 1024, ++unit;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " + kUnits[unit];
}

std::string time_text(const cim::Value& value) {
  const auto time = value.datetime();
  if (!time || time->interval) return "-";
  if (time->us <= 0) return "never";  // 1601
  std::string text = iso_time(Wall{time->us});
  text[10] = ' ';
  return text.substr(0, 19) + " UTC";
}

void Table::add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], width(row[i]));
  std::string text;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - width(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

Fields& Fields::add(std::string name, std::string value) {
  if (!value.empty() && value != "-") fields_.emplace_back(std::move(name), printable(value));
  return *this;
}

std::string Fields::text() const {
  size_t widest = 0;
  for (const auto& [name, value] : fields_) widest = std::max(widest, width(name));
  std::string text;
  for (const auto& [name, value] : fields_)
    text += name + std::string(widest - width(name) + 2, ' ') + value + '\n';
  return text;
}

uint64_t number(const cim::Instance& instance, std::string_view property) {
  return instance.get(property).number().value_or(0);
}

std::string seconds_text(const cim::Instance& instance, std::string_view property) {
  return age_text(Duration::seconds(static_cast<int64_t>(number(instance, property))));
}

std::string cell(const cim::Instance& instance, std::string_view property) {
  const cim::Value::Scalar* scalar = instance.get(property).scalar();
  if (!scalar) return "-";
  std::string text = scalar_words(*scalar);
  return text.empty() ? "-" : text;
}

JsonObject to_json(const cim::Instance& instance) {
  JsonObject object;
  for (const auto& [name, value] : instance.properties()) {
    if (const auto* array = value.array()) {
      std::vector<std::string> texts;
      for (const cim::Value::Scalar& one : *array) texts.push_back(scalar_words(one));
      object.set(name, texts);
    } else if (const auto number = value.number()) {
      object.set(name, *number);
    } else if (const auto flag = value.boolean()) {
      object.set(name, *flag);
    } else if (const auto time = value.datetime(); time && time->interval) {
      object.set(name, Duration{time->us}.whole_seconds());
    } else if (const auto* scalar = value.scalar()) {
      object.set(name, scalar_words(*scalar));
    }
  }
  return object;
}

std::vector<JsonObject> to_json(const std::vector<cim::Instance>& instances) {
  std::vector<JsonObject> objects;
  for (const cim::Instance& instance : instances) objects.push_back(to_json(instance));
  return objects;
}

JsonObject to_json(const Error& error) {
  JsonObject object;
  object.set("code", error_info(error.code()).name);
  object.set("message", error.message());
  if (!error.hint().empty()) object.set("next", error.hint());
  return object;
}

}  // namespace understudy::cli
