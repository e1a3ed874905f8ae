// Between libFuzzer and the one fuzzer of this program.
#include "base/log.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = (understudy::set_log(understudy::LogLevel::error, true), true);
  (void)quiet;
  understudy::fuzz::Fuzzer::first->function({reinterpret_cast<const char*>(data), size});
  return 0;
}
