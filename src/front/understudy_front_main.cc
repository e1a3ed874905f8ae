// understudy-front: speaks with management clients for understudyd, which starts it. Standard input is its
// end of the control channel.
#include "front/front.h"

int main(int argc, char** argv) {
  return understudy::ipc::confined_main(argc, argv, "understudy-front", understudy::front::serve);
}
