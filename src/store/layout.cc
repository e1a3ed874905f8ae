#include "store/layout.h"

#include <algorithm>

namespace understudy::store {
namespace {

std::string_view before_dash(std::string_view name) {
  return name.substr(0, name.find('-'));
}

// Takes `prefix` off.
bool drop(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

// What follows `count` times a dash and digits; not a suffix of anything made here when they are not there.
std::string_view numbers(std::string_view name, int count) {
  for (; count > 0; --count) {
    const size_t digits = std::min(name.find_first_not_of("0123456789", 1), name.size());
    if (digits < 2 || name[0] != '-') return "?";
    name.remove_prefix(digits);
  }
  return name;
}

}  // namespace

std::string image_name(std::string_view target, FileNumber number) {
  return std::string(target) + "-" + std::to_string(number.generation) + "-" +
         std::to_string(number.sequence) + ".qcow2";
}

std::string active_name(std::string_view target) {
  return std::string(target) + "-active.qcow2";
}

std::string reverted_name(std::string_view target, uint64_t generation) {
  return std::string(target) + "-reverted-" + std::to_string(generation) + ".qcow2";
}

std::string machine_name(FileNumber number) {
  return "machine-" + std::to_string(number.generation) + "-" + std::to_string(number.sequence);
}

std::string sums_path(const std::string& image) {
  return image + ".sums";
}

bool valid_target(std::string_view target) {
  return !target.empty() && target.size() <= 4 &&
         std::all_of(target.begin(), target.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

bool is_active_name(std::string_view name) {
  const auto target = before_dash(name);
  return valid_target(target) && name == active_name(target);
}

bool is_image_name(std::string_view name) {
  const auto target = before_dash(name);
  return valid_target(target) && drop(name, target) && numbers(name, 2) == ".qcow2";
}

bool is_sums_name(std::string_view name) {
  return name.ends_with(".sums") && is_image_name(name.substr(0, name.size() - 5));
}

bool is_reverted_name(std::string_view name) {
  const auto target = before_dash(name);
  return valid_target(target) && drop(name, target) && drop(name, "-reverted") &&
         numbers(name, 1) == ".qcow2";
}

bool is_machine_name(std::string_view name) {
  return drop(name, "machine") && numbers(name, 2).empty();
}

}  // namespace understudy::store
