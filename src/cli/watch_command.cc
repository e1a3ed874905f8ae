// A live view: on a terminal drawn over and over, elsewhere a line for each change.
#include <algorithm>
#include <map>
#include <ostream>

#include "cli/commands.h"
#include "cli/points.h"
#include "cli/status_text.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr Duration kEvery = Duration::seconds(1);
constexpr uint64_t kPercentStep = 10;  // progress that is a change worth a line
constexpr const char* kClearScreen = "\033[H\033[J";

struct Running {
  std::string vm;  // id
  cim::Instance job;
  cim::Instance detail;
};
struct Snapshot {
  std::vector<cim::Instance> vms;
  std::vector<Running> jobs;
};

std::string id_of(const cim::Instance& status) {
  return cell(status, "VirtualSystemIdentifier");
}

// `vm`: the id of the only one to watch, or empty.
Result<Snapshot> look(Management& management, const std::string& vm) {
  Snapshot snapshot;
  US_TRY(snapshot.vms, management.enumerate("Understudy_ReplicationStatus"));
  if (!vm.empty()) std::erase_if(snapshot.vms, [&](const cim::Instance& s) { return id_of(s) != vm; });
  US_TRY(const auto jobs, management.enumerate("Msvm_ConcreteJob"));
  US_TRY(const auto details, management.enumerate("Understudy_ConcreteJobDetail"));
  for (const cim::Instance& detail : details) {
    const auto job = std::ranges::find_if(
        jobs, [&](const cim::Instance& j) { return cell(j, "InstanceID") == cell(detail, "InstanceID"); });
    if (job == jobs.end() || JobView{*job, detail}.finished()) continue;
    const std::string of = cell(detail, "VirtualSystemIdentifier");
    if (vm.empty() || of == vm) snapshot.jobs.push_back({of, *job, detail});
  }
  return snapshot;
}

std::string job_text(const Running& running, uint64_t step) {
  const uint64_t percent = number(running.job, "PercentComplete");
  return cell(running.job, "Description") + ", " + std::to_string(percent - percent % step) + " %";
}

std::string screen(const Snapshot& snapshot, const std::string& now) {
  std::string text = now + "   (Ctrl-C ends this view)\n\n";
  text += snapshot.vms.empty() ? "No VM is there.\n" : list_text(snapshot.vms);
  if (!snapshot.jobs.empty()) text += "\n";
  for (const Running& running : snapshot.jobs) {
    text += printable(job_text(running, 1));
    if (const uint64_t total = number(running.detail, "BytesTotal"); total > 0)
      text += ", " + bytes_text(number(running.detail, "BytesDone")) + " of " + bytes_text(total);
    text += "\n";
  }
  return text;
}

// What a line says of a VM; it is a change when this text is another one.
std::string line_of(const Snapshot& snapshot, const cim::Instance& status) {
  std::string text = cell(status, "ElementName") + ": ";
  if (number(status, "ReplicationMode") == 0) return text + "not replicated";
  text += lower_case(cell(status, "ReplicationModeText")) + ", " +
          lower_case(cell(status, "ReplicationStateText")) + ", health " +
          lower_case(cell(status, "ReplicationHealthText"));
  if (cell(status, "HealthCause") != "-") text += " (" + cell(status, "HealthCause") + ")";
  if (newest_age(status) != "-") text += ", newest point cut " + time_text(status.get("LastCutTime"));
  for (const Running& running : snapshot.jobs)
    if (running.vm == id_of(status)) text += "; " + job_text(running, kPercentStep);
  return text;
}

class Lines {
 public:
  explicit Lines(Session& session) : session_(session) {}

  void show(const Snapshot& snapshot) {
    std::map<std::string, std::string> now;
    for (const cim::Instance& status : snapshot.vms) {
      std::string text = line_of(snapshot, status);
      const std::string id = id_of(status);
      if (said_[id] != text) {
        JsonObject object;
        object.set("status", to_json(status));
        std::vector<JsonObject> jobs;
        for (const Running& running : snapshot.jobs)
          if (running.vm == id) jobs.push_back(to_json(JobView{running.job, running.detail}));
        object.set("jobs", jobs);
        put(text, std::move(object));
      }
      now[id] = std::move(text);
    }
    for (const auto& [id, text] : said_)
      if (!now.contains(id)) {
        JsonObject object;
        object.set("gone", lower_case(id));
        put(text.substr(0, text.find(':')) + ": is gone", std::move(object));
      }
    said_ = std::move(now);
    silent_.clear();
  }

  // Once for each cause.
  void no_answer(const Error& error) {
    if (silent_ == error.message()) return;
    silent_ = error.message();
    said_.clear();
    JsonObject object;
    object.set("error", to_json(error));
    put("no answer: " + error.message(), std::move(object));
  }

 private:
  void put(const std::string& text, JsonObject object) {
    const Wall now = SystemClock().now().wall;
    object.set("time", iso_time(now));
    if (session_.json)
      session_.console.out << object.text() << std::endl;
    else
      session_.console.out << iso_time(now).substr(0, 19) << "Z " << printable(text) << std::endl;
    session_.printed = true;
  }

  Session& session_;
  std::map<std::string, std::string> said_;  // by id
  std::string silent_;
};

}  // namespace

Status watch(Session& session, const Arguments& arguments) {
  std::string vm;
  if (arguments.count() > 0) {
    US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
    vm = id_of(status);
  }
  const bool redraws = session.console.redraws && !session.json;
  Lines lines(session);
  bool seen = false;
  while (true) {
    const auto snapshot = look(session.host(), vm);
    if (!snapshot && !seen) return fail(snapshot.error());
    seen = true;
    if (redraws) {
      const std::string now = iso_time(SystemClock().now().wall).substr(0, 19) + "Z";
      session.console.out << kClearScreen
                          << (snapshot ? screen(*snapshot, now)
                                       : now + "   no answer: " + printable(snapshot.error().message()) +
                                             "\n\nIt is asked again each second.\n")
                          << std::flush;
    } else if (snapshot) {
      lines.show(*snapshot);
    } else {
      lines.no_answer(snapshot.error());
    }
    // Standard output that nobody reads any more ends it, too.
    if (!session.console.out) return {};
    if (const auto waited = session.waiter.wait(kEvery); !waited)
      return waited.error().code() == ErrorCode::cancelled ? Status() : waited;
  }
}

}  // namespace understudy::cli
