#include "cim/datetime.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <optional>

namespace understudy::cim {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kMostDays = 99'999'999;              // eight digits of an interval
constexpr int64_t kNever = -11'644'473'600 * kSecond;  // 1601-01-01T00:00:00Z

struct Fields {
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0;
};

tl::unexpected<Error> bad(std::string_view text) {
  return fail(ErrorCode::wrong_type, "'" + std::string(text.substr(0, 64)) + "' is no datetime",
              "use yyyymmddHHMMSS.mmmmmm+UUU or ddddddddHHMMSS.mmmmmm:000");
}

// Reads text from the left; every step says whether it could.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  char peek() const { return text_.empty() ? '\0' : text_.front(); }
  bool skip(char c) {
    if (peek() != c || text_.empty()) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::optional<int64_t> digits(size_t count) {
    if (text_.size() < count) return {};
    int64_t value = 0;
    for (const char c : text_.substr(0, count)) {
      if (c < '0' || c > '9') return {};
      value = value * 10 + (c - '0');
    }
    text_.remove_prefix(count);
    return value;
  }
  bool into(int64_t& target, size_t count) {
    const auto value = digits(count);
    if (value) target = *value;
    return value.has_value();
  }
  // At least one digit, at most ten.
  std::optional<int64_t> number() {
    size_t count = 0;
    while (count < text_.size() && text_[count] >= '0' && text_[count] <= '9') ++count;
    if (count == 0 || count > 10) return {};
    return digits(count);
  }
  // After a '.': one to many digits, of which six count.
  std::optional<int64_t> fraction() {
    int64_t micros = 0, place = kSecond / 10;
    size_t count = 0;
    for (; !done() && peek() >= '0' && peek() <= '9'; ++count, place /= 10) {
      micros += (peek() - '0') * place;
      text_.remove_prefix(1);
    }
    if (count == 0) return {};
    return micros;
  }

 private:
  std::string_view text_;
};

bool valid_clock(const Fields& f) {
  return f.hour < 24 && f.minute < 60 && f.second < 60;
}

int64_t clock_us(const Fields& f) {
  return ((f.hour * 60 + f.minute) * 60 + f.second) * kSecond + f.micros;
}

std::optional<int64_t> instant_us(const Fields& f, int64_t offset_minutes) {
  using namespace std::chrono;
  const year_month_day date(year(static_cast<int>(f.year)), month(static_cast<unsigned>(f.month)),
                            day(static_cast<unsigned>(f.day)));
  if (!date.ok() || f.year < 1 || !valid_clock(f)) return {};
  const int64_t days = sys_days(date).time_since_epoch().count();
  return days * kDay + clock_us(f) - offset_minutes * 60 * kSecond;
}

// Years from 1 to 9999 only: what lies outside is shown as the nearest end.
Fields split_instant(int64_t us) {
  using namespace std::chrono;
  constexpr int64_t kFirst = sys_days(year(1) / 1 / 1).time_since_epoch().count() * kDay;
  constexpr int64_t kLast = sys_days(year(10'000) / 1 / 1).time_since_epoch().count() * kDay - 1;
  us = us < kFirst ? kFirst : us > kLast ? kLast : us;
  const int64_t whole_days = us >= 0 ? us / kDay : -((kDay - 1 - us) / kDay);
  const year_month_day date(sys_days(days(static_cast<int>(whole_days))));
  const int64_t rest = us - whole_days * kDay;
  return {int{date.year()},        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
          rest / (3600 * kSecond), rest / (60 * kSecond) % 60,          rest / kSecond % 60,
          rest % kSecond};
}

Fields split_interval(int64_t us) {
  us = us < 0 ? 0 : us;
  Fields f;
  f.day = us / kDay;
  if (f.day > kMostDays) return {0, 0, kMostDays, 23, 59, 59, kSecond - 1};
  f.hour = us / (3600 * kSecond) % 24;
  f.minute = us / (60 * kSecond) % 60;
  f.second = us / kSecond % 60;
  f.micros = us % kSecond;
  return f;
}

template <class... Numbers>
std::string format(const char* pattern, Numbers... numbers) {
  std::array<char, 96> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), pattern, static_cast<long long>(numbers)...);
  return {buffer.data(), static_cast<size_t>(length)};
}

// ".68424" without trailing zeros, or nothing.
std::string fraction_text(int64_t micros) {
  if (micros == 0) return {};
  std::string text = format(".%06lld", micros);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

Result<DateTime> parse_duration(std::string_view text) {
  Scanner in(text);
  if (!in.skip('P') || in.done()) return bad(text);
  int64_t total = 0;
  bool time_part = false;
  std::string_view units = "YMWD";  // in this order, each at most once
  while (!in.done()) {
    if (!time_part && in.skip('T')) {
      time_part = true;
      units = "HMS";
      if (in.done()) return bad(text);
    }
    const auto value = in.number();
    if (!value) return bad(text);
    int64_t micros = 0;
    if (time_part && in.skip('.')) {
      const auto fraction = in.fraction();
      if (!fraction || in.peek() != 'S') return bad(text);
      micros = *fraction;
    }
    const char unit = in.peek();
    const size_t at = units.find(unit);
    if (unit == '\0' || at == std::string_view::npos || !in.skip(unit)) return bad(text);
    units.remove_prefix(at + 1);
    const bool calendar = !time_part && (unit == 'Y' || unit == 'M');
    if (calendar && *value != 0) return bad(text);
    const int64_t size = calendar      ? 0
                         : unit == 'W' ? 7 * kDay
                         : unit == 'D' ? kDay
                         : unit == 'H' ? 3600 * kSecond
                         : unit == 'M' ? 60 * kSecond
                                       : kSecond;
    if (size != 0 && *value > (kMostDays * kDay) / size) return bad(text);
    total += *value * size + micros;
    if (total > kMostDays * kDay) return bad(text);
  }
  return DateTime{true, total};
}

// "Z", "+hh:mm", "-hh:mm" or nothing, to minutes.
std::optional<int64_t> zone_minutes(Scanner& in) {
  if (in.done() || in.skip('Z')) return 0;
  const bool minus = in.skip('-');
  int64_t hours = 0, minutes = 0;
  if (!minus && !in.skip('+')) return {};
  if (!in.into(hours, 2) || !in.skip(':') || !in.into(minutes, 2) || hours > 14 || minutes > 59) return {};
  return (minus ? -1 : 1) * (hours * 60 + minutes);
}

}  // namespace

DateTime DateTime::at(Wall t) {
  return {false, t.never() ? kNever : t.us};
}

std::string cim_datetime_text(const DateTime& value) {
  if (value.interval) {
    const Fields f = split_interval(value.us);
    return format("%08lld%02lld%02lld%02lld.%06lld:000", f.day, f.hour, f.minute, f.second, f.micros);
  }
  const Fields f = split_instant(value.us);
  return format("%04lld%02lld%02lld%02lld%02lld%02lld.%06lld+000", f.year, f.month, f.day, f.hour, f.minute,
                f.second, f.micros);
}

std::string xs_datetime_text(const DateTime& value) {
  if (value.interval) {
    const Fields f = split_interval(value.us);
    return format("P%lldDT%lldH%lldM%lld", f.day, f.hour, f.minute, f.second) + fraction_text(f.micros) + "S";
  }
  const Fields f = split_instant(value.us);
  return format("%04lld-%02lld-%02lldT%02lld:%02lld:%02lld", f.year, f.month, f.day, f.hour, f.minute,
                f.second) +
         fraction_text(f.micros) + "Z";
}

Result<DateTime> parse_cim_datetime(std::string_view text) {
  if (text.size() != 25) return bad(text);
  Scanner in(text);
  Fields f;
  if (!in.into(f.year, 4) || !in.into(f.month, 2) || !in.into(f.day, 2) || !in.into(f.hour, 2) ||
      !in.into(f.minute, 2) || !in.into(f.second, 2) || !in.skip('.') || !in.into(f.micros, 6))
    return bad(text);
  const char end = in.peek();
  int64_t offset = 0;
  if ((end != ':' && end != '+' && end != '-') || !in.skip(end) || !in.into(offset, 3)) return bad(text);
  if (end == '-') offset = -offset;
  const int64_t days = (f.year * 100 + f.month) * 100 + f.day;
  if (end == ':' || (days == 0 && offset == 0)) {
    if (offset != 0 || !valid_clock(f)) return bad(text);
    return DateTime{true, days * kDay + clock_us(f)};
  }
  const auto us = instant_us(f, offset);
  if (!us) return bad(text);
  return DateTime{false, *us};
}

Result<DateTime> parse_xs_datetime(std::string_view text) {
  if (text.starts_with('P')) return parse_duration(text);
  Scanner in(text);
  Fields f;
  if (!in.into(f.year, 4) || !in.skip('-') || !in.into(f.month, 2) || !in.skip('-') || !in.into(f.day, 2) ||
      !in.skip('T') || !in.into(f.hour, 2) || !in.skip(':') || !in.into(f.minute, 2) || !in.skip(':') ||
      !in.into(f.second, 2))
    return bad(text);
  if (in.skip('.')) {
    const auto fraction = in.fraction();
    if (!fraction) return bad(text);
    f.micros = *fraction;
  }
  const auto offset = zone_minutes(in);
  if (!offset || !in.done()) return bad(text);
  const auto us = instant_us(f, *offset);
  if (!us) return bad(text);
  return DateTime{false, *us};
}

Result<DateTime> parse_datetime(std::string_view text) {
  if (text.size() == 25 && text[14] == '.') return parse_cim_datetime(text);
  return parse_xs_datetime(text);
}

}  // namespace understudy::cim
