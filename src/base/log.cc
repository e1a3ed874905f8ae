#include "base/log.h"

#include <unistd.h>

#include <cstdio>

#include "base/time.h"

namespace understudy {
namespace {
LogLevel g_least = LogLevel::info;
bool g_json = true;
constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
}  // namespace

void set_log(LogLevel least, bool json) {
  g_least = least;
  g_json = json;
}

std::string json_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char code[8];
          std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
          out += code;
        } else {
          out += c;
        }
    }
  }
  return out;
}

void log(LogLevel level, std::string_view area, std::string_view message,
         std::initializer_list<LogField> fields) {
  if (level < g_least) return;
  const std::string time = iso_time(SystemClock().now().wall);
  const std::string_view name = kNames[static_cast<size_t>(level)];
  std::string line;
  if (g_json) {
    line = "{\"time\":\"" + time + "\",\"level\":\"" + std::string(name) + "\",\"area\":\"" +
           json_escape(area) + "\",\"message\":\"" + json_escape(message) + "\"";
    for (const LogField& f : fields) {
      line += ",\"" + json_escape(f.key) + "\":";
      line += f.number ? f.value : "\"" + json_escape(f.value) + "\"";
    }
    line += "}\n";
  } else {
    line = time + " " + std::string(name) + " " + std::string(area) + ": " + std::string(message);
    for (const LogField& f : fields) line += " " + f.key + "=" + f.value;
    line += "\n";
  }
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}
}  // namespace understudy
