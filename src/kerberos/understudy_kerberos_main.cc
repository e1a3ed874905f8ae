// understudy-kerberos: opens tokens of Kerberos for understudyd, which starts it. Standard input is its end
// of the control channel.
#include "ipc/setup.h"
#include "kerberos/kerberos.h"

int main(int argc, char** argv) {
  using namespace understudy;
  return ipc::confined_main(argc, argv, "understudy-kerberos", kerberos::serve, kerberos::kMostReplays);
}
