// What lies in a replica's folder, looked at and repaired with the daemon dead: no daemon is asked.
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ostream>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "core/recovered.h"
#include "files/posix_files.h"
#include "statedb/sqlite_state_db.h"
#include "store/check.h"

namespace understudy::cli {
namespace {

constexpr const char* kStateDirectory = "/var/lib/understudy";
constexpr const char* kRunDirectory = "/run/understudy";

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// The folder itself when it is a replica, else those of its folders that are.
Result<std::vector<std::string>> replica_folders(store::Files& files, const std::string& given) {
  const std::string directory = without_slash(given);
  US_TRY(const bool itself, files.exists(directory + "/manifest"));
  if (itself) return std::vector<std::string>{directory};
  US_TRY(const auto names, files.list(directory));
  std::vector<std::string> found;
  for (const std::string& name : names) {
    US_TRY(const bool replica, files.exists(directory + "/" + name + "/manifest"));
    if (replica) found.push_back(directory + "/" + name);
  }
  if (found.empty())
    return fail(ErrorCode::not_found, directory + " holds no replica",
                "name a replica's folder, or the one of all");
  return found;
}

std::string type_words(const RecoveryPoint& point) {
  switch (point.type) {
    case PointType::application_consistent:
      return "application-consistent";
    case PointType::planned:
      return "planned";
    default:
      return "standard";
  }
}
std::string keep_words(const RecoveryPoint& point) {
  switch (point.keep) {
    case PointKeep::hourly:
      return "hourly";
    case PointKeep::on_demand:
      return "on demand";
    default:
      return "latest";
  }
}

JsonObject to_json(const RecoveryPoint& point) {
  JsonObject object;
  object.set("id", point.id.lower());
  object.set("sequence", point.lineage.sequence);
  object.set("cut", iso_time(point.cut));
  object.set("received", iso_time(point.received));
  object.set("type", type_words(point));
  object.set("kept", keep_words(point));
  object.set("bytes", point.bytes);
  return object;
}

JsonObject describe(const std::string& directory, const store::Manifest& manifest, std::string& text) {
  const store::ReplicaIdentity& identity = manifest.identity;
  Fields fields;
  fields.add("VM", printable(identity.name)).add("id", identity.vm.lower()).add("folder", directory);
  fields.add("primary", printable(identity.primary)).add("generation", std::to_string(identity.generation));
  if (manifest.failover)
    fields.add("failed over to", manifest.failover->point.lower() + ", generation " +
                                     std::to_string(manifest.failover->generation));
  Table table({"POINT", "CUT", "TYPE", "KEPT", "SIZE"});
  std::vector<JsonObject> points;
  for (auto listed = manifest.points.rbegin(); listed != manifest.points.rend(); ++listed) {
    const RecoveryPoint& point = listed->point;
    table.add({point.id.lower(), iso_time(point.cut).substr(0, 19), type_words(point), keep_words(point),
               bytes_text(point.bytes)});
    points.push_back(to_json(point));
  }
  text += fields.text() + (table.empty() ? "no recovery point\n" : "\n" + table.text()) + "\n";
  JsonObject object;
  object.set("vm", identity.vm.lower());
  object.set("name", identity.name);
  object.set("directory", directory);
  object.set("primary", identity.primary);
  object.set("set", identity.set.lower());
  object.set("generation", identity.generation);
  object.set("failed_over", manifest.failover.has_value());
  object.set("points", points);
  return object;
}

// The point whose id begins so; none given: the newest.
Result<RecoveryPoint> choose(const store::Manifest& manifest, const std::string& id) {
  if (manifest.points.empty())
    return fail(ErrorCode::not_found, manifest.identity.name + " has no recovery point");
  if (id.empty()) return manifest.points.back().point;
  std::optional<RecoveryPoint> found;
  for (const store::ListedPoint& listed : manifest.points) {
    if (id.size() < 4 || !listed.point.id.lower().starts_with(lower_case(id))) continue;
    if (found) return fail(ErrorCode::invalid_parameter, "more than one recovery point begins with " + id);
    found = listed.point;
  }
  if (!found)
    return fail(ErrorCode::not_found, manifest.identity.name + " has no recovery point " + id,
                "understudy store list DIR");
  return *found;
}

Status not_run(const std::string& program) {
  return fail(ErrorCode::not_found, program + " cannot be run: " + std::strerror(errno),
              "apt-get install qemu-utils");
}

// argv of the words, which must outlive it.
std::vector<char*> argv_of(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

// Returns only when that does not work: what stops this command stops the program.
Status become(const std::vector<std::string>& words) {
  execvp(words[0].c_str(), argv_of(words).data());
  return not_run(words[0]);
}

Status run_program(const std::vector<std::string>& words) {
  pid_t child = 0;
  errno = posix_spawnp(&child, words[0].c_str(), nullptr, nullptr, argv_of(words).data(), environ);
  if (errno != 0) return not_run(words[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(ErrorCode::failed, words[0] + " failed", "its own words are above");
}

bool daemon_answers(const std::string& run_directory) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/wsman.sock", run_directory.c_str());
  const bool answers = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return answers;
}

Result<core::State> state_from(const std::string& directory, const store::Manifest& manifest) {
  core::FoundReplica found;
  const store::ReplicaIdentity& identity = manifest.identity;
  found.vm = identity.vm;
  found.name = identity.name;
  found.directory = directory;
  found.primary = identity.primary;
  found.settings = identity.settings;
  found.disks = identity.disks;
  found.newest = {identity.set, identity.generation, manifest.newest()};
  for (const store::ListedPoint& listed : manifest.points) found.points.push_back(listed.point);
  if (manifest.failover)
    found.failover = core::FoundReplica::OpenFailover{manifest.failover->point, manifest.failover->generation,
                                                      manifest.failover->complete};
  return core::recovered_state(found, SystemClock().now().wall);
}

}  // namespace

Status store_list(Session& session, const Arguments& arguments) {
  files::PosixFiles files;
  US_TRY(const auto folders, replica_folders(files, arguments.argument(0)));
  std::string text;
  std::vector<JsonObject> replicas;
  for (const std::string& folder : folders) {
    auto manifest = store::load_manifest(files, store::Layout(folder));
    if (!manifest) return fail(manifest.error());
    replicas.push_back(describe(folder, *manifest, text));
  }
  JsonObject object;
  object.set("replicas", replicas);
  session.print(text, object);
  return {};
}

namespace {

std::string verdict(const store::CheckedPoint& point) {
  if (!point.damages.empty()) return "damaged, " + bytes_text(point.damaged_bytes);
  return point.unverified.empty() ? "good" : "not known";
}

JsonObject to_json(const store::CheckedPoint& checked, const std::vector<DiskGeometry>& disks) {
  JsonObject object = to_json(checked.point);
  object.set("result", checked.good() ? "good" : checked.damages.empty() ? "not known" : "damaged");
  std::vector<JsonObject> damages;
  for (const store::Damage& damage : checked.damages) {
    JsonObject one;
    one.set("disk", disks[damage.disk].target);
    one.set("offset", damage.offset);
    one.set("length", damage.length);
    one.set("file", damage.file);
    one.set("cause", damage.what);
    damages.push_back(one);
  }
  object.set("damages", damages);
  object.set("damaged_bytes", checked.damaged_bytes);
  object.set("without_checksums", checked.unverified);
  return object;
}

// What a person sees of one replica; each damage once, though many points may read it.
std::string describe(const std::string& folder, const store::ReplicaCheck& check) {
  Table table({"POINT", "CUT", "TYPE", "RESULT"});
  std::vector<std::string> notes;
  const auto note = [&](const std::string& text) {
    if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(text);
  };
  for (auto point = check.points.rbegin(); point != check.points.rend(); ++point) {
    table.add({point->point.id.lower(), iso_time(point->point.cut).substr(0, 19), type_words(point->point),
               verdict(*point)});
    for (const store::Damage& damage : point->damages)
      note(check.manifest.identity.disks[damage.disk].target + ": " + bytes_text(damage.length) +
           " at byte " + std::to_string(damage.offset) + ", in " + damage.file + ": " + damage.what);
    for (const std::string& file : point->unverified) note(file + " has no checksums that can be used");
  }
  std::string text = printable(check.manifest.identity.name) + ", " + folder + ": " +
                     bytes_text(check.bytes) + " compared\n";
  text += check.points.empty() ? "no recovery point\n" : table.text();
  for (const std::string& line : notes) text += "  " + printable(line) + "\n";
  return text + "\n";
}

// The newest good point is what a person needs next.
Status judge(const std::vector<store::ReplicaCheck>& checks) {
  size_t damaged = 0;
  size_t unknown = 0;
  size_t all = 0;
  std::string hint;
  for (const store::ReplicaCheck& check : checks) {
    std::string good;
    const size_t before = damaged + unknown;
    for (const store::CheckedPoint& point : check.points) {
      ++all;
      damaged += point.damages.empty() ? 0 : 1;
      unknown += point.damages.empty() && !point.good() ? 1 : 0;
      if (point.good()) good = point.point.id.lower();
    }
    if (damaged + unknown == before || !hint.empty()) continue;
    const std::string& name = check.manifest.identity.name;
    hint = (good.empty() ? "no point of " + name + " is known to be good"
                         : "the newest good point of " + name + " is " + good) +
           "; to have the newest compared with the VM and mended, on the primary: understudy pause " + name +
           ", then: understudy resync " + name;
  }
  const std::string of = " of " + std::to_string(all) + " recovery points ";
  if (damaged != 0)
    return fail(ErrorCode::corrupt, std::to_string(damaged) + of + (damaged == 1 ? "is" : "are") + " damaged",
                hint);
  if (unknown != 0)
    return fail(ErrorCode::corrupt, std::to_string(unknown) + of + "cannot be checked: checksums are missing",
                hint);
  return {};
}

}  // namespace

Status store_check(Session& session, const Arguments& arguments) {
  files::PosixFiles files;
  US_TRY(const auto folders, replica_folders(files, arguments.argument(0)));
  const SystemClock clock;
  std::string text;
  std::vector<JsonObject> replicas;
  std::vector<store::ReplicaCheck> checks;
  for (const std::string& folder : folders) {
    Progress progress(session.console.err, session.console.draws, clock.now().monotonic);
    const auto show = [&](uint64_t done, uint64_t total) {
      progress.show({"Checking " + folder, total == 0 ? 100 : done * 100 / total, done, total},
                    clock.now().monotonic);
    };
    US_TRY(store::ReplicaCheck check, store::check_replica(files, folder, show, CancelToken()));
    progress.clear();
    text += describe(folder, check);
    JsonObject object;
    object.set("vm", check.manifest.identity.vm.lower());
    object.set("name", check.manifest.identity.name);
    object.set("directory", folder);
    object.set("bytes", check.bytes);
    std::vector<JsonObject> points;
    for (auto point = check.points.rbegin(); point != check.points.rend(); ++point)
      points.push_back(to_json(*point, check.manifest.identity.disks));
    object.set("points", points);
    replicas.push_back(object);
    checks.push_back(std::move(check));
  }
  JsonObject object;
  object.set("replicas", replicas);
  const Status verdict = judge(checks);
  if (!verdict) object.set("error", to_json(verdict.error()));
  session.print(text, object);
  return verdict;
}

Status store_export(Session& session, const Arguments& arguments) {
  files::PosixFiles files;
  const std::string directory = without_slash(arguments.argument(0));
  US_TRY(const store::Loaded loaded, store::load_replica(files, directory));
  US_TRY(const RecoveryPoint point, choose(loaded.manifest, arguments.text("point")));
  const auto& disks = loaded.manifest.identity.disks;
  const std::string wanted = arguments.text("disk", disks.front().target);
  std::string image;
  for (size_t disk = 0; disk < disks.size(); ++disk)
    if (disks[disk].target == wanted)
      image = store::files_of(store::Layout(directory), loaded, disk,
                              {point.lineage.generation, point.lineage.sequence})
                  .back();
  if (image.empty())
    return fail(ErrorCode::not_found, loaded.manifest.identity.name + " has no disk " + wanted,
                "understudy store list " + directory);
  const std::string out = arguments.text("out");
  const std::string nbd = arguments.text("nbd");
  if (out.empty() == nbd.empty())
    return fail(ErrorCode::invalid_parameter,
                "'understudy store export' needs either --out FILE or --nbd SOCKET",
                "understudy store export --help");
  JsonObject object;
  object.set("point", to_json(point));
  object.set("disk", wanted);
  object.set("image", image);
  if (!nbd.empty()) {
    session.say("Disk " + wanted + " of point " + point.id.lower() + " can be read at nbd+unix:///" + wanted +
                "?socket=" + nbd + " until this command is stopped.");
    session.console.out.flush();
    return become({"qemu-nbd", "--read-only", "--persistent", "--shared=8", "--socket", nbd, "--export-name",
                   wanted, "--format", "qcow2", image});
  }
  US_TRY(const bool there, files.exists(out));
  if (there) return fail(ErrorCode::invalid_parameter, out + " is there already", "name another file");
  const std::vector<std::string> copy = {"qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", image, out};
  US_CHECK(run_program(copy));
  object.set("out", out);
  session.print("Disk " + wanted + " of point " + point.id.lower() + " is in " + out + " (raw).\n", object);
  return {};
}

Status store_recover(Session& session, const Arguments& arguments) {
  files::PosixFiles files;
  const std::string state_directory = without_slash(arguments.text("state-directory", kStateDirectory));
  if (daemon_answers(without_slash(arguments.text("run-directory", kRunDirectory))))
    return fail(ErrorCode::in_use, "understudyd is running: it would not see what is rebuilt",
                "systemctl stop understudyd, then run this again");
  US_TRY(const auto folders, replica_folders(files, arguments.argument(0)));
  US_TRY(const auto db, statedb::open_state_db(state_directory + "/state.db"));
  US_TRY(const auto rows, db->load("engine"));
  std::string text;
  std::vector<JsonObject> replicas;
  for (const std::string& folder : folders) {
    US_TRY(const store::Loaded loaded, store::load_replica(files, folder));
    const std::string key = loaded.manifest.identity.vm.lower();
    const bool known = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
      return row.first == key && core::knows_relationship(row.second);
    });
    JsonObject object;
    object.set("vm", key);
    object.set("name", loaded.manifest.identity.name);
    object.set("directory", folder);
    object.set("rebuilt", !known);
    replicas.push_back(object);
    const std::string name = printable(loaded.manifest.identity.name);
    if (known) {
      text += name + ": the database knows it already, nothing was changed\n";
      continue;
    }
    US_TRY(const core::State state, state_from(folder, loaded.manifest));
    US_CHECK(db->put("engine", key, core::encode_state(state)));
    text += name + ": rebuilt, " + std::to_string(loaded.manifest.points.size()) +
            " recovery points. Once the daemon runs: understudy authorize " +
            printable(loaded.manifest.identity.primary) + " --storage " +
            folder.substr(0, folder.rfind('/')) + "\n";
  }
  JsonObject object;
  object.set("replicas", replicas);
  session.print(text + "Next: start understudyd, then: understudy server enable\n", object);
  return {};
}

}  // namespace understudy::cli
