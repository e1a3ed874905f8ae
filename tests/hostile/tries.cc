#include "hostile/tries.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "net/socket.h"

namespace understudy::hostile {
namespace {

bool connect_tcp(const std::string& address, uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  return fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
}

bool connect_unix(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
}

}  // namespace

std::string judged(bool worked) {
  return worked ? "yes" : std::string("no ") + strerrorname_np(errno);
}

std::string try_to(const std::string& verb, std::istringstream& words) {
  std::string path;
  int number = 0;
  if (verb == "read") return words >> path, judged(open(path.c_str(), O_RDONLY) >= 0);
  if (verb == "write") return words >> path, judged(open(path.c_str(), O_WRONLY | O_CREAT, 0600) >= 0);
  if (verb == "run") return words >> path, judged(execl(path.c_str(), path.c_str(), nullptr) == 0);
  if (verb == "connect")
    return words >> path >> number, judged(connect_tcp(path, static_cast<uint16_t>(number)));
  if (verb == "unix") return words >> path, judged(connect_unix(path));
  if (verb == "listen") return judged(net::listen_tcp("127.0.0.1", 0).has_value());
  if (verb == "signal") return words >> number, judged(kill(number, 0) == 0);
  if (verb == "trace") return words >> number, judged(ptrace(PTRACE_ATTACH, number, 0, 0) == 0);
  if (verb == "root") return judged(setuid(0) == 0);
  if (verb == "namespace") return judged(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
  if (verb == "mount") return judged(mount("none", "/", "tmpfs", 0, nullptr) == 0);
  return "no such order";
}

}  // namespace understudy::hostile
