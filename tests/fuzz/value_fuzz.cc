// Text of a CIM value (the first byte is its type): an accepted one fits its type, and written again it reads
// the same.
#include "cim/datetime.h"
#include "cim/typed.h"
#include "fuzz/fuzz.h"

US_FUZZER(value, input) {
  using namespace understudy;
  const auto number = static_cast<uint8_t>(fuzz::take_byte(input) - '0');
  const auto type = static_cast<cim::Type>(number % (static_cast<unsigned>(cim::Type::instance) + 1));
  const auto scalar = cim::scalar_from_text(type, input);
  if (!scalar) return;
  US_ASSERT(cim::fits(type, *scalar));
  const std::string text = cim::scalar_text(*scalar);
  const auto again = cim::scalar_from_text(type, text);
  US_ASSERT(again && cim::scalar_text(*again) == text);
  if (const auto* path = std::get_if<cim::ObjectPath>(&*scalar))
    US_ASSERT(std::get<cim::ObjectPath>(*again).same(*path));
  if (const auto* time = std::get_if<cim::DateTime>(&*scalar)) {
    const auto other_form = cim::parse_xs_datetime(cim::xs_datetime_text(*time));
    US_ASSERT(other_form && cim::cim_datetime_text(*other_form) == text);
  }
}
