#include "ipc/confine.h"

#include <grp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>

namespace understudy::ipc {
namespace {

// All that a server with threads, TLS and sockets of its own does. What is not here fails with EPERM.
constexpr const char* kAllowed[] = {
    // sockets and descriptors that are there already; pairs for conversations
    "read", "readv", "write", "writev", "recvfrom", "recvmsg", "sendto", "sendmsg", "accept", "accept4",
    "shutdown", "close", "poll", "ppoll", "fcntl", "getsockopt", "setsockopt", "getsockname", "getpeername",
    "socketpair", "eventfd2", "fstat", "newfstatat", "lseek",
    // memory
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise",
    // threads
    "clone", "clone3", "futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "exit",
    "exit_group", "gettid", "getpid", "getuid", "geteuid", "getgid", "getegid", "tgkill", "prctl",
    "membarrier",
    // signals and time
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "clock_gettime",
    "clock_nanosleep", "gettimeofday", "getrandom", "uname"};
// Also, for one with files of its own.
constexpr const char* kOpens = "openat";

constexpr size_t kStack = 1 << 20;
constexpr int kArenas = 4;

Status limit(int resource, size_t most) {
  const rlimit bound{most, most};
  return setrlimit(static_cast<__rlimit_resource>(resource), &bound) == 0
             ? Status()
             : fail_errno(errno, "limiting this process");
}

Status leave_file_system(const std::string& root) {
  struct stat folder {};
  if (stat(root.c_str(), &folder) != 0) return fail_errno(errno, "looking at " + root);
  if (!S_ISDIR(folder.st_mode) || folder.st_uid != 0 || (folder.st_mode & 022) != 0)
    return fail(ErrorCode::invalid_state, root + " is no folder of root's alone");
  if (chroot(root.c_str()) != 0 || chdir("/") != 0) return fail_errno(errno, "leaving the file system");
  return {};
}

Status become(uid_t user, gid_t group) {
  if (user == 0 || group == 0) return fail(ErrorCode::invalid_parameter, "this process must not be root's");
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if (prctl(PR_CAPBSET_DROP, capability) != 0) return fail_errno(errno, "dropping capabilities");
  if (setgroups(0, nullptr) != 0 || setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0)
    return fail_errno(errno, "becoming user " + std::to_string(user));
  if (setresuid(0, 0, 0) == 0) return fail(ErrorCode::invalid_state, "root could come back");
  return {};
}

// Each thread and each arena of the allocator reserves address space, of which there is a limit from now on.
Status keep_small() {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, kStack) != 0 ||
      pthread_setattr_default_np(&attributes) != 0)
    return fail(ErrorCode::failed, "cannot keep threads small");
  mallopt(M_ARENA_MAX, kArenas);  // other allocators, as a sanitizer's, have no arenas
  pthread_attr_destroy(&attributes);
  return {};
}

Status filter_calls(bool opens_files) {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)),
                                                                 &seccomp_release);
  if (!filter) return fail(ErrorCode::failed, "cannot make a filter of system calls");
  std::vector<const char*> allowed(std::begin(kAllowed), std::end(kAllowed));
  if (opens_files) allowed.push_back(kOpens);
  for (const char* name : allowed) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, number, 0) != 0)
      return fail(ErrorCode::failed, std::string("the filter of system calls does not take ") + name);
  }
  if (const int error = seccomp_load(filter.get()); error != 0)
    return fail_errno(-error, "loading the filter of system calls");
  return {};
}

}  // namespace

std::vector<std::string> words_of(const Confinement& confinement) {
  return {std::to_string(confinement.user), std::to_string(confinement.group), confinement.root};
}

std::optional<Confinement> confinement_of(int argc, char** argv) {
  if (argc != 4) return std::nullopt;
  Confinement confinement;
  const auto number = [](std::string_view text, uint32_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  };
  if (!number(argv[1], confinement.user) || !number(argv[2], confinement.group)) return std::nullopt;
  confinement.root = argv[3];
  return confinement;
}

Status confine(const Confinement& confinement) {
  // An empty network, and no shared memory with others.
  if (unshare(CLONE_NEWNET | CLONE_NEWIPC) != 0) return fail_errno(errno, "leaving the network of the host");
  US_CHECK(leave_file_system(confinement.root));
  US_CHECK(keep_small());
  US_CHECK(limit(RLIMIT_CORE, 0));
  US_CHECK(limit(RLIMIT_NOFILE, confinement.most_descriptors));
  US_CHECK(limit(RLIMIT_AS, confinement.most_memory));
  if (confinement.most_file > 0) US_CHECK(limit(RLIMIT_FSIZE, confinement.most_file));
  US_CHECK(become(confinement.user, confinement.group));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return fail_errno(errno, "giving up new rights");
  return filter_calls(confinement.most_file > 0);
}

}  // namespace understudy::ipc
