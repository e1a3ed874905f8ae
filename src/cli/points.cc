#include "cli/points.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr size_t kLeastPrefix = 4;
constexpr size_t kMostAgoDigits = 6;

bool flag(const cim::Instance& point, const char* property) {
  return point.get(property).boolean().value_or(false);
}

// "newest, hourly"; "-" for one that goes with the next merge.
std::string kept_as(const cim::Instance& point) {
  std::string text;
  const auto add = [&text](const std::string& reason) { text += (text.empty() ? "" : ", ") + reason; };
  if (flag(point, "FailedOver")) add("failed over to");
  if (flag(point, "Newest")) add("newest");
  if (number(point, "Keep") != 0) add(lower_case(cell(point, "KeepText")));
  return text.empty() ? "-" : text;
}

// "90s", "10m", "2h", "1d"
std::optional<Duration> parse_ago(std::string_view text) {
  if (text.size() < 2 || text.size() > kMostAgoDigits + 1) return std::nullopt;
  constexpr std::string_view kUnits = "smhd";
  constexpr int64_t kSeconds[] = {1, 60, 3600, 86400};
  const size_t unit = kUnits.find(text.back());
  uint32_t count = 0;
  const char* end = text.data() + text.size() - 1;
  const auto parsed = std::from_chars(text.data(), end, count);
  if (unit == std::string_view::npos || parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return Duration::seconds(kSeconds[unit] * count);
}

// The same clock reading in the local zone.
Wall in_local_zone(Wall reading) {
  const time_t seconds = Duration{reading.us}.whole_seconds();
  tm parts{};
  gmtime_r(&seconds, &parts);
  parts.tm_isdst = -1;
  return Wall{Duration::seconds(mktime(&parts)).us + reading.us - Duration::seconds(seconds).us};
}

tl::unexpected<Error> no_time(const std::string& text) {
  return fail(ErrorCode::invalid_parameter, "'" + text.substr(0, 64) + "' is no time",
              "write 2026-11-22T18:19 (local time), 2026-11-22T18:19:08+01:00, or 10m for ten minutes ago");
}

tl::unexpected<Error> no_point(std::string what, const std::string& vm) {
  return fail(ErrorCode::not_found, std::move(what), "understudy point list " + vm);
}

}  // namespace

Result<std::vector<cim::Instance>> points_of(Management& management, const cim::Instance& status) {
  return management.enumerate(
      where("Understudy_RecoveryPoint", "VirtualSystemIdentifier", cell(status, "VirtualSystemIdentifier")));
}

std::string points_table(const std::vector<cim::Instance>& points) {
  Table table({"RECOVERY POINT", "CUT", "AGE", "TYPE", "KEPT AS", "SIZE"});
  for (auto point = points.rbegin(); point != points.rend(); ++point)
    table.add({cell(*point, "PointID"), time_text(point->get("CutTime")), point_age(*point),
               lower_case(cell(*point, "PointTypeText")), kept_as(*point),
               bytes_text(number(*point, "Bytes"))});
  return table.empty() ? "" : table.text();
}

std::string point_age(const cim::Instance& point) {
  return seconds_text(point, "AgeSeconds");
}

std::string point_words(const cim::Instance& point) {
  std::string text = cell(point, "PointID") + ", " + lower_case(cell(point, "PointTypeText"));
  if (number(point, "Keep") != 0) text += ", " + lower_case(cell(point, "KeepText"));
  return text + ", cut " + time_text(point.get("CutTime"));
}

std::string primary_heard(const cim::Instance& status) {
  const auto seconds = status.get("PrimaryHeardSeconds").number();
  return seconds ? age_text(Duration::seconds(static_cast<int64_t>(*seconds))) : "";
}

std::string ran_here(const cim::Instance& status) {
  if (status.get("FailoverRanSeconds").null()) return "";
  return "has run here for " + seconds_text(status, "FailoverRanSeconds") +
         " since its failover; what it wrote takes up " + bytes_text(number(status, "FailoverBytes"));
}

std::vector<std::string> set_aside(const cim::Instance& status) {
  const auto* generations = status.get("SetAsideGenerations").array();
  const auto* since = status.get("SetAsideSince").array();
  const auto* bytes = status.get("SetAsideBytes").array();
  std::vector<std::string> lines;
  if (!generations || !since || !bytes) return lines;
  for (size_t i = 0; i < generations->size() && i < since->size() && i < bytes->size(); ++i) {
    const auto* generation = std::get_if<uint64_t>(&(*generations)[i]);
    const auto* amount = std::get_if<uint64_t>(&(*bytes)[i]);
    const auto* time = std::get_if<cim::DateTime>(&(*since)[i]);
    if (generation && amount && time)
      lines.push_back(bytes_text(*amount) + " of generation " + std::to_string(*generation) + ", since " +
                      time_text(*time));
  }
  return lines;
}

Result<Moment> parse_moment(const std::string& text) {
  if (const auto ago = parse_ago(text)) return Moment{ago, {}};
  constexpr size_t kDate = 10;    // "2026-11-22"
  constexpr size_t kMinute = 16;  // "2026-11-22T18:19"
  constexpr size_t kOffset = 6;   // "+01:00"
  std::string reading = text;
  if (reading.ends_with(" UTC")) reading.replace(reading.size() - 4, 4, "Z");
  if (reading.size() < kMinute || reading.size() > 64) return no_time(text);
  if (reading[kDate] == ' ') reading[kDate] = 'T';
  const size_t zone = std::min(reading.find_first_of("Z+-", kDate), reading.size());
  const std::string offset = reading.substr(zone);
  reading.resize(zone);
  if (reading.size() == kMinute) reading += ":00";
  if (!offset.empty() && offset != "Z" && offset.size() != kOffset) return no_time(text);
  const auto date = parse_iso_time(reading.substr(0, kDate) + "T00:00:00Z");
  const auto time = parse_iso_time(reading + (offset.empty() ? "Z" : offset));
  // A day that its month does not have would be read as one of the next month.
  if (!date || !time || !iso_time(*date).starts_with(reading.substr(0, kDate))) return no_time(text);
  return Moment{std::nullopt, offset.empty() ? in_local_zone(*time) : *time};
}

Result<size_t> point_by_id(const std::vector<cim::Instance>& points, const std::string& vm,
                           const std::string& id) {
  if (id.size() < kLeastPrefix)
    return fail(ErrorCode::invalid_parameter,
                "'" + id + "' is too short for a recovery point: give at least four characters of its id",
                "understudy point list " + vm);
  std::vector<size_t> found;
  for (size_t i = 0; i < points.size(); ++i)
    if (cell(points[i], "PointID").starts_with(lower_case(id))) found.push_back(i);
  if (found.size() == 1) return found.front();
  return no_point((found.empty() ? "no recovery point of VM '" : "more than one recovery point of VM '") +
                      vm + "' begins with '" + id + "'",
                  vm);
}

Result<size_t> point_by_time(const std::vector<cim::Instance>& points, const std::string& vm,
                             const std::string& time) {
  US_TRY(const Moment moment, parse_moment(time));
  for (size_t i = points.size(); i-- > 0;) {
    const auto cut = points[i].get("CutTime").datetime();
    const Duration age = Duration::seconds(static_cast<int64_t>(number(points[i], "AgeSeconds")));
    if (moment.ago ? age >= *moment.ago : cut && cut->us <= moment.at.us) return i;
  }
  std::string what = "no recovery point of VM '" + vm + "' is as old as " + time;
  if (!points.empty()) what += ": the oldest is " + point_age(points.front()) + " old";
  return no_point(std::move(what), vm);
}

}  // namespace understudy::cli
