// The command `understudy`.
#include "cli/commands.h"

int main(int argc, char** argv) {
  using namespace understudy::cli;
  Console console = system_console();
  SignalWaiter waiter;
  return run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), console, waiter,
             open_management);
}
