#include "base/time.h"

#include <cstdio>
#include <ctime>

namespace understudy {
namespace {
int64_t read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000;
}
}  // namespace

Now SystemClock::now() const {
  return {{read_clock(CLOCK_BOOTTIME)}, {read_clock(CLOCK_REALTIME)}};
}

uint32_t second_of_local_day(Wall t) {
  const auto seconds = static_cast<time_t>(t.us / 1'000'000);
  tm parts{};
  localtime_r(&seconds, &parts);
  return static_cast<uint32_t>(parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec);
}

std::string iso_time(Wall t) {
  const int64_t seconds = t.us >= 0 ? t.us / 1'000'000 : (t.us - 999'999) / 1'000'000;
  const int64_t fraction = t.us - seconds * 1'000'000;
  const auto as_time = static_cast<time_t>(seconds);
  tm parts{};
  gmtime_r(&as_time, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06lldZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<long long>(fraction));
  return text;
}

Result<Wall> parse_iso_time(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::invalid_parameter,
                "not a time: '" + std::string(text.substr(0, 64)) + "' (want 2026-11-22T18:19:08Z)");
  };
  const std::string copy(text.substr(0, 64));
  tm parts{};
  int used = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
                  &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 6)
    return bad();
  if (parts.tm_year < 1601 || parts.tm_mon < 1 || parts.tm_mon > 12 || parts.tm_mday < 1 ||
      parts.tm_mday > 31 || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60)
    return bad();
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  auto at = static_cast<size_t>(used);
  int64_t micros = 0;
  if (at < copy.size() && (copy[at] == '.' || copy[at] == ',')) {
    int64_t scale = 100'000;
    for (++at; at < copy.size() && copy[at] >= '0' && copy[at] <= '9'; ++at, scale /= 10)
      micros += (copy[at] - '0') * scale;
  }
  int64_t offset_minutes = 0;
  if (at < copy.size() && copy[at] != 'Z' && copy[at] != 'z') {
    int hours = 0;
    int minutes = 0;
    if (std::sscanf(copy.c_str() + at + 1, "%2d:%2d", &hours, &minutes) != 2) return bad();
    if (copy[at] == '+')
      offset_minutes = hours * 60 + minutes;
    else if (copy[at] == '-')
      offset_minutes = -(hours * 60 + minutes);
    else
      return bad();
  } else if (at < copy.size() && at + 1 != copy.size()) {
    return bad();
  }
  const int64_t seconds = static_cast<int64_t>(timegm(&parts)) - offset_minutes * 60;
  return Wall{seconds * 1'000'000 + micros};
}

std::string age_text(Duration d) {
  const int64_t s = d.whole_seconds() < 0 ? 0 : d.whole_seconds();
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return std::to_string(s / 60) + " min" + (s % 60 ? " " + std::to_string(s % 60) + " s" : "");
  if (s < 86400)
    return std::to_string(s / 3600) + " h" + (s / 60 % 60 ? " " + std::to_string(s / 60 % 60) + " min" : "");
  return std::to_string(s / 86400) + " d" + (s / 3600 % 24 ? " " + std::to_string(s / 3600 % 24) + " h" : "");
}

}  // namespace understudy
