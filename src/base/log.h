// Structured log: one JSON object a line on standard error, or "time level area: message key=value" when a
// person reads it (a terminal). Never a secret in a field. Any thread; a line is written by one write(2).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.h"

namespace understudy {

enum class LogLevel : uint8_t { debug, info, warning, error };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <class T>
  requires std::is_arithmetic_v<T> LogField(std::string_view k, T v)
      : key(k), value(std::to_string(v)), number(true) {}
  std::string key;
  std::string value;
  bool number = false;
};

// Set once, before the first thread starts.
void set_log(LogLevel least, bool json);
void log(LogLevel level, std::string_view area, std::string_view message,
         std::initializer_list<LogField> fields = {});
inline void log_info(std::string_view area, std::string_view message,
                     std::initializer_list<LogField> f = {}) {
  log(LogLevel::info, area, message, f);
}
inline void log_warning(std::string_view area, std::string_view message,
                        std::initializer_list<LogField> f = {}) {
  log(LogLevel::warning, area, message, f);
}
inline void log_error(std::string_view area, std::string_view message,
                      std::initializer_list<LogField> f = {}) {
  log(LogLevel::error, area, message, f);
}
inline void log_debug(std::string_view area, std::string_view message,
                      std::initializer_list<LogField> f = {}) {
  log(LogLevel::debug, area, message, f);
}

// Text as the inside of a JSON string.
std::string json_escape(std::string_view text);

}  // namespace understudy
