// A small file of a replica (first byte: m manifest, c cursor, anything else machine), as it is and with the
// checksum line that fits it: an accepted one encodes to a file that decodes to the same value.
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "store/machine_file.h"
#include "store/records.h"
#include "store/seal.h"

namespace {

using namespace understudy;
using namespace understudy::store;

void check_code(const Error& error) {
  US_ASSERT(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::not_supported);
}

template <class Decode, class Encode>
void check(std::string_view text, Decode decode, Encode encode) {
  const auto value = decode(text);
  if (!value) return check_code(value.error());
  const auto again = decode(encode(*value));
  US_ASSERT(again && *again == *value);
}

void check_machine_file(std::string_view text) {
  const auto machine = decode_machine(text);
  if (!machine) return check_code(machine.error());
  const std::string encoded = encode_machine(*machine);
  const auto again = decode_machine(encoded);
  US_ASSERT(check_machine(*machine) && again && encode_machine(*again) == encoded);
}

}  // namespace

US_FUZZER(record, input) {
  const char kind = static_cast<char>(fuzz::take_byte(input));
  for (const std::string& text : {std::string(input), sealed(std::string(input))}) {
    if (kind == 'm')
      check(text, decode_manifest, encode_manifest);
    else if (kind == 'c')
      check(text, decode_cursor, encode_cursor);
    else
      check_machine_file(text);
  }
}
