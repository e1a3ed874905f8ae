// A UUID as text in one spelling. libvirt writes them in lower case, CIM (Msvm_ComputerSystem.Name) in upper
// case; comparison is by value.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace understudy {

class Uuid {
 public:
  Uuid() = default;                                  // all zero: nil()
  static Result<Uuid> parse(std::string_view text);  // either case, with or without braces
  static Uuid random();  // version 4, from the kernel; not for the core (ids are injected)
  static Uuid from_bytes(const std::array<uint8_t, 16>& bytes);

  bool nil() const;
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  std::string lower() const;
  std::string upper() const;
  auto operator<=>(const Uuid&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

}  // namespace understudy
