#include "hypervisor/image_bitmap.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "base/time.h"
#include "hypervisor/descriptor.h"

namespace understudy::hypervisor {
namespace {
constexpr Duration kMost = Duration::seconds(30);
constexpr size_t kMostSaid = 4096;

// What it says until it ends, or until time is up; the beginning of it.
std::string listen(const Descriptor& said, Monotonic deadline) {
  std::string text;
  char some[512];
  while (true) {
    const Duration left = deadline - SystemClock().now().monotonic;
    if (left <= Duration{}) return text;
    struct pollfd readable = {said.get(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(left.whole_millis()) + 1) < 0 && errno != EINTR) return text;
    if (readable.revents == 0) continue;
    const ssize_t n = ::read(said.get(), some, sizeof some);
    if (n <= 0) return text;
    if (text.size() < kMostSaid) text.append(some, static_cast<size_t>(n));
  }
}

// Its exit status; one that does not end is killed.
int wait_for(pid_t child, Monotonic deadline) {
  if (SystemClock().now().monotonic >= deadline) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}
}  // namespace

Status remove_bitmap(const std::string& image, const std::string& name) {
  std::vector<std::string> words = {"qemu-img", "bitmap", "--remove", "-f", "qcow2", image, name};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  const Descriptor ours(ends[0]);
  Descriptor theirs(ends[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, theirs.get(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  theirs = Descriptor();
  if (error != 0) return fail_errno(error, "starting qemu-img");
  const Monotonic deadline = SystemClock().now().monotonic + kMost;
  std::string said = listen(ours, deadline);
  const int status = wait_for(child, deadline);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (said.find("itmap '" + name + "' not found") != std::string::npos) return {};
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return fail(ErrorCode::in_use, "bitmap " + name + " of " + image + " cannot be removed: " + said,
              "is the VM being started? qemu-img info " + image);
}

}  // namespace understudy::hypervisor
