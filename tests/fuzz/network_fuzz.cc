// Address, prefix and mask of a guest's network: an accepted one is written in one form, of harmless
// characters only, which reads as the same value.
#include "fuzz/fuzz.h"
#include "model/network.h"

US_FUZZER(network, input) {
  using namespace understudy;
  const auto harmless = [](const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789abcdef.:/") == std::string::npos;
  };
  if (const auto address = IpAddress::parse(input)) {
    US_ASSERT(harmless(address->text()));
    const auto again = IpAddress::parse(address->text());
    US_ASSERT(again && *again == *address);
  }
  if (const auto prefix = IpPrefix::parse(input)) {
    US_ASSERT(harmless(prefix->text()) && prefix->contains(prefix->address));
    const auto again = IpPrefix::parse(prefix->text());
    US_ASSERT(again && *again == *prefix);
  }
  if (const auto length = length_of_mask(input)) US_ASSERT(*length <= 32 && mask_of_length(*length) == input);
  if (is_mac(input)) US_ASSERT(input.size() == 17);
}
