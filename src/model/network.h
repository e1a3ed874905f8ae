// What the network cards of a guest are given after a failover. Addresses are parsed values, never text of a
// caller: what is written from them holds digits, letters a-f, dots, colons and one slash. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace understudy {

struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // of IPv4 the first four, and zeroes

  // 192.0.2.7 or 2001:db8::7: no zone, no prefix, no IPv4 within IPv6. invalid_parameter.
  static Result<IpAddress> parse(std::string_view text);
  std::string text() const;  // the one form in which a kernel shows it
  bool operator==(const IpAddress&) const = default;
};

struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;  // bits: 1..32, or 1..128

  static Result<IpPrefix> parse(std::string_view text);  // 192.0.2.7/24. invalid_parameter
  std::string text() const;
  bool contains(const IpAddress& other) const;
  bool operator==(const IpPrefix&) const = default;
};

Result<uint8_t> length_of_mask(std::string_view mask);  // 255.255.255.0 -> 24. invalid_parameter
std::string mask_of_length(uint8_t length);             // of IPv4, 0..32

// All of one card. Without an IPv6 address IPv6 stays automatic; without an IPv4 address and `dhcp` the card
// has no IPv4.
struct NicSettings {
  std::string mac;    // lower case: which card
  bool dhcp = false;  // IPv4 by DHCP: no IPv4 address beside it
  std::vector<IpPrefix> addresses;
  std::vector<IpAddress>
      gateways;  // the preferred one first; each within the network of one of the addresses
  std::vector<IpAddress> name_servers;

  bool empty() const { return !dhcp && addresses.empty(); }  // nothing is asked for: the guest's own stay
  bool operator==(const NicSettings&) const = default;
};

bool is_mac(std::string_view text);  // 52:54:00:ab:cd:ef, lower case

// Do the parts fit each other, within the bounds of limits.h? invalid_parameter names the value.
Status check(const NicSettings& settings);

}  // namespace understudy
