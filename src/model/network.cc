#include "model/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "model/codec.h"

namespace understudy {
namespace {

constexpr size_t kMostText = 64;  // longer than any address with its prefix

tl::unexpected<Error> bad(std::string_view text, const char* why) {
  return fail(ErrorCode::invalid_parameter, "'" + std::string(text.substr(0, kMostText)) + "' " + why);
}

size_t bits_of(const IpAddress& address) {
  return address.v6 ? 128 : 32;
}
bool bit(const IpAddress& address, size_t index) {
  return (address.bytes[index / 8] >> (7 - index % 8) & 1) != 0;
}
// Are all bits from there on the same as `value`?
bool rest_is(const IpPrefix& prefix, bool value) {
  for (size_t i = prefix.length; i < bits_of(prefix.address); ++i)
    if (bit(prefix.address, i) != value) return false;
  return true;
}

bool multicast(const IpAddress& a) {
  return a.v6 ? a.bytes[0] == 0xff : a.bytes[0] >= 224;  // with the reserved ones above it, and broadcast
}
bool loopback_or_none(const IpAddress& a) {
  if (!a.v6) return a.bytes[0] == 0 || a.bytes[0] == 127;
  return std::all_of(a.bytes.begin(), a.bytes.end() - 1, [](uint8_t b) { return b == 0; }) &&
         a.bytes[15] <= 1;
}
bool link_local(const IpAddress& a) {
  return a.v6 && a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
}

Status check_host(const IpAddress& address) {
  if (multicast(address)) return bad(address.text(), "is the address of no single host");
  if (loopback_or_none(address)) return bad(address.text(), "is no address that others can reach");
  return {};
}

Status check_address(const IpPrefix& prefix) {
  US_CHECK(check_host(prefix.address));
  if (prefix.address.v6 || prefix.length >= 31) return {};
  if (rest_is(prefix, false)) return bad(prefix.text(), "is the address of a network, not of a host in it");
  if (rest_is(prefix, true)) return bad(prefix.text(), "is the broadcast address of its network");
  return {};
}

Status check_gateway(const IpAddress& gateway, const NicSettings& settings) {
  US_CHECK(check_host(gateway));
  const auto reaches = [&](const IpPrefix& own) {
    return own.address.v6 == gateway.v6 && (link_local(gateway) || own.contains(gateway));
  };
  if (std::ranges::any_of(settings.addresses, [&](const IpPrefix& p) { return p.address == gateway; }))
    return bad(gateway.text(), "is the card's own address and cannot be its gateway");
  if (!std::ranges::any_of(settings.addresses, reaches))
    return bad(gateway.text(), "is in the network of no address of this card and cannot be its gateway");
  return {};
}

template <class T>
Status check_list(const std::vector<T>& list, size_t most, const char* what) {
  if (list.size() > most)
    return fail(ErrorCode::invalid_parameter, std::to_string(list.size()) + " " + what +
                                                  " for one card: " + std::to_string(most) + " are possible");
  for (size_t i = 0; i < list.size(); ++i)
    if (std::find(list.begin(), list.begin() + static_cast<ptrdiff_t>(i), list[i]) !=
        list.begin() + static_cast<ptrdiff_t>(i))
      return bad(list[i].text(), "stands twice");
  return {};
}

// A list of addresses as its texts.
template <class T>
void addresses_field(JsonFields& f, std::string_view name, std::vector<T>& values, size_t most) {
  std::vector<std::string> texts;
  for (const T& value : values) texts.push_back(value.text());
  f.texts(name, texts, most, kMostText);
  if (!f.reading()) return;
  values.clear();
  for (const std::string& text : texts) {
    auto value = T::parse(text);
    if (!value) return f.refuse(name, value.error().message());
    values.push_back(*value);
  }
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  IpAddress address;
  address.v6 = text.find(':') != std::string_view::npos;
  const std::string terminated(text.substr(0, kMostText));
  if (text.size() > kMostText || text.find('\0') != std::string_view::npos ||
      ::inet_pton(address.v6 ? AF_INET6 : AF_INET, terminated.c_str(), address.bytes.data()) != 1)
    return bad(text, "is no IPv4 or IPv6 address");
  if (address.v6 && address.text().find('.') != std::string::npos)
    return bad(text, "is an IPv4 address within an IPv6 one: write it as either");
  return address;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return bad(text, "has no prefix: write it as 192.0.2.7/24");
  IpPrefix prefix;
  US_TRY(prefix.address, IpAddress::parse(text.substr(0, slash)));
  const std::string_view bits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), prefix.length);
  if (error != std::errc() || end != bits.data() + bits.size() || prefix.length < 1 ||
      prefix.length > bits_of(prefix.address))
    return bad(text, prefix.address.v6 ? "has no prefix from 1 to 128" : "has no prefix from 1 to 32");
  return prefix;
}

std::string IpPrefix::text() const {
  return address.text() + "/" + std::to_string(length);
}

bool IpPrefix::contains(const IpAddress& other) const {
  if (address.v6 != other.v6) return false;
  for (size_t i = 0; i < length; ++i)
    if (bit(address, i) != bit(other, i)) return false;
  return true;
}

Result<uint8_t> length_of_mask(std::string_view mask) {
  const auto parsed = IpAddress::parse(mask);
  if (!parsed || parsed->v6) return bad(mask, "is no mask such as 255.255.255.0");
  IpPrefix prefix{*parsed, 0};
  while (prefix.length < 32 && bit(*parsed, prefix.length)) ++prefix.length;
  if (prefix.length == 0 || !rest_is(prefix, false)) return bad(mask, "is no mask such as 255.255.255.0");
  return prefix.length;
}

std::string mask_of_length(uint8_t length) {
  IpAddress mask;
  for (size_t i = 0; i < length && i < 32; ++i)
    mask.bytes[i / 8] = static_cast<uint8_t>(mask.bytes[i / 8] | 0x80U >> i % 8);
  return mask.text();
}

bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (i % 3 == 2 ? text[i] != ':'
                   : std::string_view("0123456789abcdef").find(text[i]) == std::string_view::npos)
      return false;
  return true;
}

Status check(const NicSettings& settings) {
  if (!is_mac(settings.mac)) return bad(settings.mac, "is no MAC address");
  US_CHECK(check_list(settings.addresses, limits::kMostNicAddresses, "addresses"));
  US_CHECK(check_list(settings.gateways, limits::kMostGateways, "gateways"));
  US_CHECK(check_list(settings.name_servers, limits::kMostNameServers, "DNS servers"));
  for (const IpPrefix& prefix : settings.addresses) {
    US_CHECK(check_address(prefix));
    if (settings.dhcp && !prefix.address.v6)
      return bad(prefix.text(), "is given beside DHCP: an IPv4 address comes from one of them");
  }
  for (const IpAddress& gateway : settings.gateways) US_CHECK(check_gateway(gateway, settings));
  for (const IpAddress& server : settings.name_servers) US_CHECK(check_host(server));
  if (settings.empty() && !(settings.gateways.empty() && settings.name_servers.empty()))
    return fail(ErrorCode::invalid_parameter, "gateways or DNS servers are given without an address or DHCP");
  return {};
}

void fields(JsonFields& f, NicSettings& settings) {
  f.text("mac", settings.mac, kMostText);
  f.flag("dhcp", settings.dhcp);
  addresses_field(f, "addresses", settings.addresses, limits::kMostNicAddresses);
  addresses_field(f, "gateways", settings.gateways, limits::kMostGateways);
  addresses_field(f, "name_servers", settings.name_servers, limits::kMostNameServers);
  if (!f.reading()) return;
  if (const Status fit = check(settings); !fit) f.refuse("mac", fit.error().message());
}

}  // namespace understudy
