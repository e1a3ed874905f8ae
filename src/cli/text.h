// What people read: tables, lists of fields, amounts. Text of the server is shown without control characters.
// Pure functions and values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "cim/value.h"
#include "model/json.h"

namespace understudy::cli {

std::string printable(std::string_view text);
std::string lower_case(std::string text);
std::string joined(const std::vector<std::string>& texts);  // "a, b"
std::string bytes_text(uint64_t bytes);                     // "1.2 GiB"
std::string time_text(const cim::Value& value);  // "2026-11-22 18:19:08 UTC"; "never"; "-" for NULL

// Columns as wide as their widest cell, two blanks between them.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { add(std::move(header)); }
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "name   value" lines; a field without value is left out.
class Fields {
 public:
  Fields& add(std::string name, std::string value);
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// The property as text, "-" when it is NULL.
std::string cell(const cim::Instance& instance, std::string_view property);
uint64_t number(const cim::Instance& instance, std::string_view property);           // 0 for NULL
std::string seconds_text(const cim::Instance& instance, std::string_view property);  // "14 s"

// Everything of an instance that is not NULL, under the names of the schema. Times as ISO 8601, intervals as
// seconds, references as object paths.
JsonObject to_json(const cim::Instance& instance);
std::vector<JsonObject> to_json(const std::vector<cim::Instance>& instances);
JsonObject to_json(const Error& error);  // code, message, next

}  // namespace understudy::cli
