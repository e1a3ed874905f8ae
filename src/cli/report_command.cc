// The support bundle: what somebody who was not there needs to know, and no secret. Each part is taken if it
// can be had; what cannot is said, in the bundle and at the end.
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <sstream>

#include "base/child.h"
#include "cli/commands.h"
#include "cli/secrets.h"
#include "cli/text.h"
#include "files/archive.h"
#include "files/posix_files.h"
#include "net/certificate.h"
#include "statedb/sqlite_state_db.h"
#include "store/layout.h"
#include "store/load.h"
#include "store/machine_file.h"

namespace understudy::cli {
namespace {

constexpr Duration kMostWait = Duration::seconds(60);  // for a program
constexpr uint64_t kMostFile = 4 << 20;                // of one file; of a log its end
constexpr size_t kMostFolders = 512;                   // replicas, as many as a host may have VMs
constexpr const char* kConfig = "/etc/understudy/understudyd.toml";
constexpr const char* kCertificates = "/etc/understudy/tls";
constexpr const char* kStateDirectory = "/var/lib/understudy";

constexpr const char* kClasses[] = {
    "Understudy_ReplicationStatus",
    "Understudy_RecoveryPoint",
    "Understudy_ConcreteJobDetail",
    "Msvm_ConcreteJob",
    "Msvm_ComputerSystem",
    "Msvm_ReplicationSettingData",
    "Msvm_ReplicationService",
    "Msvm_ReplicationServiceSettingData",
    "Msvm_StorageAllocationSettingData",
    "Msvm_ReplicationAuthorizationSettingData",
};
// Debian packages whose versions matter.
constexpr std::string_view kPackages[] = {"understudy",           "libvirt-daemon", "libvirt0",
                                          "qemu-system-x86",      "qemu-utils",     "ovmf",
                                          "libvirt-daemon-system"};

class Report {
 public:
  Report(files::Archive archive, std::string top) : archive_(std::move(archive)), top_(std::move(top)) {}

  // Text of any origin is cleaned here, and nowhere else does text enter the archive.
  Status add(const std::string& name, std::string_view text) {
    const std::string cleaned = without_secrets(text);
    names_.push_back(name);
    bytes_ += cleaned.size();
    return archive_.add(top_ + "/" + name, cleaned, SystemClock().now().wall);
  }
  Status add_if_there(const std::string& name, const Result<std::string>& text) {
    if (text) return add(name, *text);
    miss(name, text.error());
    return {};
  }
  void miss(const std::string& what, const Error& error) {
    JsonObject object;
    object.set("what", what);
    object.set("cause", error.message());
    missing_.push_back(std::move(object));
    missing_text_ += "  " + printable(what + ": " + error.message()) + "\n";
  }
  Status close(JsonObject summary) {
    summary.set("missing", missing_);
    summary.set("files", names_);
    US_CHECK(archive_.add(top_ + "/summary.json", without_secrets(summary.text()) + "\n",
                          SystemClock().now().wall));
    return archive_.close();
  }

  const std::vector<std::string>& names() const { return names_; }
  const std::vector<JsonObject>& missing() const { return missing_; }
  const std::string& missing_text() const { return missing_text_; }
  uint64_t bytes() const { return bytes_; }

 private:
  files::Archive archive_;
  std::string top_;
  std::vector<std::string> names_;
  std::vector<JsonObject> missing_;
  std::string missing_text_;
  uint64_t bytes_ = 0;
};

MutableByteView writable(std::string& text) {
  return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}

// The end of a file, from the beginning of a line on when it is cut.
Result<std::string> end_of_file(store::Files& files, const std::string& path) {
  US_TRY(const auto file, files.open(path, store::OpenMode::read));
  US_TRY(const uint64_t size, file->size());
  std::string text(std::min(size, kMostFile), '\0');
  US_CHECK(file->read_at(size - text.size(), writable(text)));
  if (size > kMostFile) text.erase(0, text.find('\n') + 1);
  return text;
}

// The end of what a program prints.
Result<std::string> end_of_output(std::vector<std::string> words) {
  const std::string name = words[0];
  std::string text;
  const auto take = [&](std::string_view more) {
    text += more;
    if (text.size() > 2 * kMostFile) text.erase(0, text.size() - kMostFile);
  };
  US_TRY(const std::optional<int> status, run_program({std::move(words)}, Said::output, take, kMostWait));
  if (ended_well(status)) return text;
  return fail(ErrorCode::failed, name + (status ? " failed" : " did not end in time"));
}

std::string packages(store::Files& files) {
  std::string text;
  const auto status = files.open("/var/lib/dpkg/status", store::OpenMode::read);
  const auto size = status ? (*status)->size() : Result<uint64_t>(0);
  std::string all(size.value_or(0), '\0');
  if (all.empty() || !(*status)->read_at(0, writable(all))) return text;
  std::istringstream lines(all);
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Package: ")) name = line.substr(9);
    if (line.starts_with("Version: ") && std::ranges::count(kPackages, name) > 0)
      text += name + " " + line.substr(9) + "\n";
  }
  return text;
}

std::string versions(store::Files& files) {
  utsname kernel{};
  uname(&kernel);
  return "understudy " UNDERSTUDY_VERSION "\n" + std::string(kernel.sysname) + " " + kernel.release + " " +
         kernel.version + " " + kernel.machine + "\n" + packages(files) +
         end_of_file(files, "/usr/lib/os-release").value_or("");
}

// Name, size, space taken, mode and time of each file of a folder and of its folders.
std::string listing(store::Files& files, const std::string& folder, const std::string& prefix = {}) {
  const auto names = files.list(folder);
  if (!names) return prefix + ": " + names.error().message() + "\n";
  std::string text;
  for (const std::string& name : *names) {
    const std::string path = folder + "/" + name;
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) continue;
    char mode[8];
    std::snprintf(mode, sizeof mode, "%06o", info.st_mode & 0777777U);
    text += std::string(mode) + " " + std::to_string(info.st_size) + " " +
            std::to_string(info.st_blocks * 512) + " " +
            iso_time(Wall{Duration::seconds(info.st_mtime).us}).substr(0, 19) + "Z " + prefix + name + "\n";
    if (S_ISDIR(info.st_mode) && prefix.empty()) text += listing(files, path, name + "/");
  }
  return text;
}

Status add_daemon(Session& session, Report& report) {
  for (const char* name : kClasses) {
    const auto instances = session.host().enumerate(name);
    if (!instances) {
      report.miss("what the daemon says (daemon/)", instances.error());
      return {};
    }
    JsonObject object;
    object.set("instances", to_json(*instances));
    US_CHECK(report.add(std::string("daemon/") + name + ".json", object.text() + "\n"));
  }
  return {};
}

// What is kept, and the folders of replicas that it names.
Result<std::set<std::string>> add_state(store::Files& files, Report& report, const std::string& directory) {
  std::set<std::string> folders;
  US_CHECK(report.add("state/files.txt", listing(files, directory)));
  const std::string path = directory + "/state.db";
  const auto there = files.exists(path);
  if (!there || !*there) {
    report.miss("the database (state/)",
                there ? Error(ErrorCode::not_found, path + " is not there") : there.error());
    return folders;
  }
  const auto db = statedb::open_state_db(path);
  if (!db) {
    report.miss("the database (state/)", db.error());
    return folders;
  }
  for (const char* kind : {"engine", "service_settings", "authorization_entry"}) {
    const auto rows = (*db)->load(kind);
    if (!rows) {
      report.miss(std::string("state/") + kind, rows.error());
      continue;
    }
    std::string text;
    for (const auto& [key, value] : *rows) {
      text += key + "\n" + value + "\n\n";
      const auto object = JsonObject::parse(value);
      const auto inner = object ? object->object("value") : Result<JsonObject>(JsonObject());
      if (!inner) continue;
      if (const auto folder = inner->text("directory"); folder && !folder->empty()) folders.insert(*folder);
      const auto storage = inner->text("replica_storage_location");
      const auto names = storage ? files.list(*storage) : Result<std::vector<std::string>>();
      for (const std::string& name : names.value_or(std::vector<std::string>()))
        if (files.exists(*storage + "/" + name + "/manifest").value_or(false))
          folders.insert(*storage + "/" + name);
    }
    US_CHECK(report.add(std::string("state/") + kind + ".txt", text));
  }
  return folders;
}

Status add_replica(store::Files& files, Report& report, const std::string& folder) {
  const store::Layout layout(folder);
  const std::string name = "store/" + folder.substr(folder.rfind('/') + 1) + "/";
  US_CHECK(report.add(name + "files.txt", folder + "\n" + listing(files, folder)));
  US_CHECK(report.add_if_there(name + "manifest", end_of_file(files, layout.manifest())));
  if (files.exists(layout.cursor()).value_or(false))
    US_CHECK(report.add_if_there(name + "cursor", end_of_file(files, layout.cursor())));
  const auto manifest = store::load_manifest(files, layout);
  if (!manifest || manifest->points.empty() || !manifest->points.back().machine) return {};
  const auto machine =
      store::read_machine(files, layout.in(store::machine_name(*manifest->points.back().machine)));
  if (!machine) {
    report.miss(name + "definition", machine.error());
    return {};
  }
  return report.add(name + "definition", machine->definition);
}

// Never the keys beside them.
Status add_certificates(Report& report) {
  for (const char* name : {"host", "authority"}) {
    const std::string path = std::string(kCertificates) + "/" + name + ".crt";
    const auto info = net::load_certificate_info(path);
    if (!info) {
      report.miss(path, info.error());
      continue;
    }
    JsonObject object;
    object.set("subject", info->subject);
    object.set("issuer", info->issuer);
    object.set("names", info->dns_names);
    object.set("addresses", info->ip_names);
    object.set("not_before", iso_time(info->not_before));
    object.set("not_after", iso_time(info->not_after));
    object.set("thumbprint", info->thumbprint);
    US_CHECK(report.add(std::string("certificates/") + name + ".json", object.text() + "\n"));
  }
  return {};
}

Result<std::string> log_text(store::Files& files, const Arguments& arguments) {
  if (arguments.has("log")) return end_of_file(files, arguments.text("log"));
  auto text = end_of_output({"journalctl", "--unit", "understudyd", "--lines", "20000", "--output", "cat"});
  if (text && !text->empty() && !text->starts_with("-- No entries --")) return text;
  return fail(ErrorCode::not_found,
              "the journal: " + (text ? "it has nothing of understudyd" : text.error().message()) +
                  "; when the daemon's log is a file, give --log FILE");
}

std::string host_name() {
  utsname kernel{};
  uname(&kernel);
  std::string name = kernel.nodename;
  std::ranges::replace_if(
      name, [](char c) { return !isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.'; }, '_');
  return name;
}

}  // namespace

Status report(Session& session, const Arguments& arguments) {
  if (arguments.has("host"))
    return fail(ErrorCode::invalid_parameter, "a report is made on the host that it is about",
                "there: understudy report");
  const Wall now = SystemClock().now().wall;
  std::string time = iso_time(now).substr(0, 19) + "Z";
  std::erase_if(time, [](char c) { return c == ':' || c == '-'; });
  const std::string top = "understudy-report-" + host_name() + "-" + time;
  const std::string out = arguments.text("out", top + ".tar.gz");
  US_TRY(files::Archive archive, files::Archive::create(out));
  Report report(std::move(archive), top);
  files::PosixFiles files;

  US_CHECK(report.add("versions.txt", versions(files)));
  US_CHECK(
      report.add_if_there("config/understudyd.toml", end_of_file(files, arguments.text("config", kConfig))));
  US_CHECK(add_daemon(session, report));
  US_TRY(const auto folders, add_state(files, report, arguments.text("state-directory", kStateDirectory)));
  size_t count = 0;
  for (const std::string& folder : folders)
    if (++count <= kMostFolders) US_CHECK(add_replica(files, report, folder));
  US_CHECK(add_certificates(report));
  US_CHECK(report.add_if_there("log/understudyd.log", log_text(files, arguments)));

  JsonObject summary;
  summary.set("format", "understudy-report");
  summary.set("version", 1U);
  summary.set("host", host_name());
  summary.set("time", iso_time(now));
  summary.set("understudy", UNDERSTUDY_VERSION);
  US_CHECK(report.close(std::move(summary)));

  JsonObject object;
  object.set("file", out);
  object.set("files", report.names());
  object.set("missing", report.missing());
  session.print("The report is in " + printable(out) + ": " + std::to_string(report.names().size()) +
                    " files, " + bytes_text(report.bytes()) +
                    ". Keys, passwords and their hashes are left out; names of hosts and VMs are in it.\n" +
                    (report.missing_text().empty() ? "" : "Missing:\n" + report.missing_text()),
                object);
  return {};
}

}  // namespace understudy::cli
