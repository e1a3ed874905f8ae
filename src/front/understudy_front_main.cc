// understudy-front: speaks with management clients for understudyd, which starts it. Standard input is its
// end of the control channel.
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "base/pack.h"
#include "front/front.h"
#include "ipc/confine.h"

int main(int argc, char** argv) {
  using namespace understudy;
  const auto confinement = ipc::confinement_of(argc, argv);
  if (!confinement) {
    std::fputs("understudy-front is started by understudyd\n", stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  ipc::Control control{net::Fd(STDIN_FILENO)};
  if (const Status confined = ipc::confine(*confinement); !confined) {
    (void)control.send(ipc::Notice::failed, pack(confined.error()));
    return 1;
  }
  (void)front::run(control);
  return 1;
}
