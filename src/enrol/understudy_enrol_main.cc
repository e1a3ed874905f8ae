// understudy-enrol: speaks with the other host while a certificate is offered or accepted, for the command
// `understudy`, which starts it. Standard input is its end of the control channel.
#include "enrol/process.h"

int main(int argc, char** argv) {
  return understudy::enrol::run(argc, argv);
}
