// What a guest's agent answers: the text of a program in the guest is bounded, and without what a terminal
// would act on.
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "hypervisor/agent.h"

US_FUZZER(agent, input) {
  using namespace understudy;
  const auto answer = hypervisor::read_reply(input);
  if (!answer) return;
  (void)answer->signed_number("pid");
  const auto result = hypervisor::read_status(*answer);
  if (!result || !*result) return;
  for (const std::string& text : {(*result)->out, (*result)->err}) {
    US_ASSERT(text.size() <= limits::kMostGuestText);
    for (const char c : text) US_ASSERT(c == '\n' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7f));
  }
}
