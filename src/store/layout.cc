#include "store/layout.h"

#include <algorithm>

namespace understudy::store {

std::string image_name(std::string_view target, FileNumber number) {
  return std::string(target) + "-" + std::to_string(number.generation) + "-" +
         std::to_string(number.sequence) + ".qcow2";
}

std::string active_name(std::string_view target) {
  return std::string(target) + "-active.qcow2";
}

bool valid_target(std::string_view target) {
  return !target.empty() && target.size() <= 4 &&
         std::all_of(target.begin(), target.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

bool is_active_name(std::string_view name) {
  const std::string_view target = name.substr(0, name.find('-'));
  return valid_target(target) && name == active_name(target);
}

bool is_image_name(std::string_view name) {
  constexpr std::string_view suffix = ".qcow2";
  const std::string_view target = name.substr(0, name.find('-'));
  if (!valid_target(target) || !name.ends_with(suffix) || name.size() <= target.size() + suffix.size())
    return false;
  const std::string_view numbers = name.substr(target.size(), name.size() - target.size() - suffix.size());
  int dashes = 0;
  char before = 0;
  for (const char c : numbers) {  // "-1-12"
    if (c == '-' && before == '-') return false;
    if (c == '-')
      ++dashes;
    else if (c < '0' || c > '9')
      return false;
    before = c;
  }
  return dashes == 2 && before != '-';
}

}  // namespace understudy::store
