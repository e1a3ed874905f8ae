// A byte that says which, then the payload of a message between our processes: what can be read is packed
// again to the same bytes.
#include "base/pack.h"
#include "cim/xml_tree.h"
#include "fuzz/fuzz.h"
#include "ipc/setup.h"
#include "session/session.h"

namespace {

template <class T>
void one_form(std::string_view input) {
  using namespace understudy;
  const auto value = unpack<T>(as_bytes(input));
  US_ASSERT(!value || as_text(pack(*value)) == input);
}

}  // namespace

US_FUZZER(process, input) {
  using namespace understudy;
  switch (fuzz::take_byte(input) % 7) {
    case 0:
      return one_form<cim::Request>(input);
    case 1:
      return one_form<cim::Outcome<cim::Response>>(input);
    case 2:
      return one_form<authz::Evidence>(input);
    case 3:
      return one_form<ipc::Setup>(input);
    case 4:
      return one_form<Error>(input);
    case 5:
      return one_form<Result<cim::XmlNode>>(input);
    default:
      return one_form<Result<authz::Ticket>>(input);
  }
}
