#include "daemon/place_check.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "net/certificate.h"
#include "store/check.h"

namespace understudy::daemon {
namespace {

using enum ReplicationHealth;

constexpr int64_t kDay = 24 * 3600;
constexpr int64_t kWarnDays = 30;
constexpr int64_t kCriticalDays = 7;
constexpr size_t kMostGroups = 64;
constexpr uint64_t kMiB = 1 << 20;

std::string megabytes(uint64_t bytes) {
  return std::to_string(bytes / kMiB) + " MiB";
}

// All groups of QEMU's user: libvirt gives it those of its name.
std::vector<gid_t> groups_of(uid_t user, gid_t group) {
  std::vector<gid_t> groups = {group};
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return groups;
  groups.resize(kMostGroups);
  int count = kMostGroups;
  getgrouplist(found->pw_name, group, groups.data(), &count);
  groups.resize(static_cast<size_t>(std::clamp<int>(count, 1, kMostGroups)));
  return groups;
}

bool may_pass(const struct stat& folder, uid_t user, const std::vector<gid_t>& groups) {
  if (user == 0) return true;
  if (folder.st_uid == user) return (folder.st_mode & S_IXUSR) != 0;
  if (std::ranges::find(groups, folder.st_gid) != groups.end()) return (folder.st_mode & S_IXGRP) != 0;
  return (folder.st_mode & S_IXOTH) != 0;
}

}  // namespace

Finding check_certificate(const std::string& file, Wall now) {
  const std::string renew =
      "understudy certificate host NAME --authority DIR --out NEW, put it in place of " + file +
      ", then: systemctl restart understudyd";
  const auto certificate = net::load_certificate_info(file);
  if (!certificate)
    return {critical, "certificate",
            "the certificate " + file + " cannot be read: " + certificate.error().message(), renew};
  const std::string what = "the certificate " + certificate->subject + " in " + file;
  if (certificate->not_before > now)
    return {critical, "certificate", what + " holds only from " + iso_time(certificate->not_before) + " on",
            "look at this host's clock: timedatectl"};
  const int64_t days = (certificate->not_after - now).whole_seconds() / kDay;
  if (certificate->not_after <= now)
    return {critical, "certificate", what + " has ended at " + iso_time(certificate->not_after), renew};
  const std::string left = what + " holds for " + std::to_string(days) + " more days";
  if (days >= kWarnDays) return {ok, "certificate", left, {}};
  return {days < kCriticalDays ? critical : warning, "certificate", left, renew};
}

Finding check_location(const std::string& directory, uid_t user, gid_t group) {
  const std::vector<gid_t> groups = groups_of(user, group);
  for (size_t end = 0; end != std::string::npos;) {
    end = directory.find('/', end + 1);
    const std::string folder = directory.substr(0, end);
    struct stat found {};
    if (::stat(folder.c_str(), &found) != 0)
      return {critical, "location",
              "the folder " + folder + " of the replica cannot be reached: " + std::strerror(errno),
              "bring it back: mount its file system, or restore it"};
    if (!may_pass(found, user, groups))
      return {critical, "location",
              "QEMU (user " + std::to_string(user) + ") may not pass through " + folder +
                  ": the VM would not start",
              "chmod o+x " + folder};
  }
  return {ok, "location", "QEMU may reach " + directory, {}};
}

Finding check_space(const std::string& directory, uint64_t size) {
  struct statvfs found {};
  if (::statvfs(directory.c_str(), &found) != 0)
    return {warning, "space", "the space of " + directory + " cannot be told: " + std::strerror(errno), {}};
  const uint64_t free = found.f_bavail * found.f_frsize;
  const std::string left = megabytes(free) + " are free in " + directory;
  if (free >= size / 10) return {ok, "space", left, {}};
  return {free < size / 100 ? critical : warning, "space",
          left + ", of disks of " + megabytes(size) + ": a replica that grows, or a failover, may find none",
          "free space there: df " + directory};
}

Finding check_memory(uint64_t wanted_kib) {
  uint64_t available = 0;
  if (std::FILE* file = std::fopen("/proc/meminfo", "re")) {
    std::array<char, 128> line{};
    while (std::fgets(line.data(), line.size(), file) != nullptr)
      if (std::sscanf(line.data(), "MemAvailable: %lu kB", &available) == 1) break;
    std::fclose(file);
  }
  const std::string text = "the VM needs " + megabytes(wanted_kib << 10) + " of memory, " +
                           megabytes(available << 10) + " are available here now";
  if (available >= wanted_kib) return {ok, "memory", text, {}};
  return {warning, "memory", text, "stop something first, or give the VM less: virsh setmaxmem"};
}

Finding check_damage(store::Files& files, const std::string& directory, const std::string& name) {
  const auto points = store::known_damage(files, directory);
  if (!points) return {critical, "damage", points.error().message(), points.error().hint()};
  const store::CheckedPoint* newest = nullptr;  // that is damaged
  size_t damaged = 0;
  for (const store::CheckedPoint& point : *points) {
    if (point.good()) continue;
    ++damaged;
    newest = &point;
  }
  if (newest == nullptr) return {ok, "damage", "no merge has found damaged data in a recovery point", {}};
  const std::string which = "which: understudy store check " + directory;
  const std::string what = std::to_string(damaged) + " of " + std::to_string(points->size()) +
                           " recovery points of '" + name + "' are damaged at rest, in " +
                           newest->damages.front().file;
  if (newest != &points->back()) return {warning, "damage", what + "; the newest one is not", which};
  return {critical, "damage", what + "; the newest one is",
          which + "; to mend the newest one, on the primary: understudy pause " + name +
              ", then: understudy resync " + name};
}

}  // namespace understudy::daemon
