// Reading the object model with one VM and with many, side by side: from the text of a request to the text of
// its reply, over the real service, object manager and providers; what libvirt and the stores would be asked
// is at hand. Prints the table of docs/develop/measurements.md; ends with 1 when a look-up by key grows.
//
//   model_bench [VMS] [SECONDS for each kind of request and each side]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <unordered_map>

#include "providers/providers_test.h"
#include "wsman/service.h"
#include "wsman/test_envelope.h"

namespace understudy {
namespace {

using std::chrono::steady_clock;

Uuid numbered(char kind, size_t n) {
  char text[64];
  std::snprintf(text, sizeof text, "%c0000000-0000-4000-8000-%012zx", kind, n);
  return *Uuid::parse(text);
}

// Replicas with two disks, two points and a finished job each.
class ManyVms final : public providers::FakeHost {
 public:
  explicit ManyVms(size_t count) {
    const providers::VmView model = providers::three_vms().back();
    for (size_t n = 0; n < count; ++n) {
      providers::VmView view = model;
      view.vm.id = view.state.vm = numbered('a', n);
      view.vm.name = view.state.name = "vm" + std::to_string(n);
      view.state.disks = {{"vda", 1 << 30}, {"vdb", 1 << 30}};
      view.points[0].id = numbered('b', 2 * n);
      view.points[1].id = numbered('b', 2 * n + 1);
      view.state.jobs = {{numbered('c', n),
                          JobType::initiate_failover,
                          JobState::completed,
                          "Failover",
                          providers::ago(60),
                          providers::ago(50),
                          0,
                          0,
                          {}}};
      for (const std::string& id : {view.vm.id.lower(), view.points[0].id.lower(), view.points[1].id.lower(),
                                    view.state.jobs[0].id.lower()})
        owner_[id] = n;
      views.push_back(std::move(view));
    }
  }
  Result<providers::VmView> vm(const Uuid& id, Duration) override {
    if (const auto found = owner_.find(id.lower()); found != owner_.end() && views[found->second].vm.id == id)
      return views[found->second];
    return fail(ErrorCode::not_found, "no VM " + id.lower());
  }
  std::optional<Uuid> vm_of_job(const Uuid& job) override { return owner_of(job); }
  std::optional<Uuid> vm_of_point(const Uuid& point) override {
    const auto owner = owner_of(point);
    return owner == point ? std::nullopt : owner;
  }

 private:
  std::optional<Uuid> owner_of(const Uuid& id) const {
    const auto found = owner_.find(id.lower());
    return found == owner_.end() ? std::nullopt : std::optional(views[found->second].vm.id);
  }
  std::unordered_map<std::string, size_t> owner_;
};

class FixedClock final : public Clock {
 public:
  Now now() const override { return {Monotonic{1}, providers::kNow}; }
};

struct Side {
  explicit Side(size_t count)
      : host(count),
        manager(
            [](const auto&, auto, auto, auto) {
              return Result<cim::Reach>(cim::Reach{true, {}, true});
            },
            host.name()) {
    register_providers(manager, host, [](std::string_view text) { return wsman::parse_xml(text); });
  }
  std::string ask(const std::string& envelope) {
    auto response = service.handle(envelope, {session, who});
    if (response.status != 200) {
      std::fprintf(stderr, "%s\n%s\n", envelope.c_str(), response.body.c_str());
      std::exit(2);
    }
    return std::move(response.body);
  }

  ManyVms host;
  cim::ObjectManager manager;
  FixedClock clock;
  authz::Gate gate{nullptr, *authz::CertificateMap::parse("", "map")};
  authz::Identity who{"ada", authz::Role::operator_, "basic", "192.0.2.1:9"};
  session::LocalSessions sessions{gate, manager};
  wsman::TestSession session{manager, who};
  wsman::WsmanService service{sessions, clock, {.version = "0.1.0"}};

  std::vector<double> seconds;  // of the requests of the kind that is measured
};

// --- kinds of requests; `n` is the VM asked about ---

std::string get(const std::string& class_name, const std::string& key, const std::string& value) {
  return wsman::winrm_request(wsman::kGetAction, wsman::kV2 + class_name, "", "",
                              "<w:Selector Name=\"" + key + "\">" + value + "</w:Selector>");
}
std::string query(const std::string& wql) {
  return wsman::winrm_request(wsman::kEnumerateAction, wsman::kV2 + "*",
                              "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>100</w:MaxElements>"
                              "<w:Filter Dialect=\"http://schemas.microsoft.com/wbem/wsman/1/WQL\">" +
                                  wql + "</w:Filter></n:Enumerate>");
}
std::string guid(char kind, size_t n) {
  return numbered(kind, n).upper();
}
std::string vm_object(size_t n) {
  return "{Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='" + guid('a', n) + "'}";
}

void all_systems(Side& side) {
  std::string reply = side.ask(wsman::winrm_request(
      wsman::kEnumerateAction, wsman::kV2 + "Msvm_ComputerSystem",
      "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate>"));
  for (;;) {
    const size_t begin = reply.find("<n:EnumerationContext>");
    if (begin == std::string::npos) return;
    const size_t start = begin + 22;
    const std::string context = reply.substr(start, reply.find('<', start) - start);
    reply = side.ask(
        wsman::winrm_request(wsman::kPullAction, wsman::kV2 + "Msvm_ComputerSystem",
                             "<n:Pull><n:EnumerationContext>" + context +
                                 "</n:EnumerationContext><n:MaxElements>32000</n:MaxElements></n:Pull>"));
  }
}

struct Kind {
  const char* name;
  bool by_key;
  std::function<void(Side&, size_t n)> ask;
};
const std::vector<Kind>& kinds() {
  const auto one = [](auto make) { return [make](Side& side, size_t n) { side.ask(make(n)); }; };
  static const std::vector<Kind> all = {
      {"Get VM by Name", true,
       one([](size_t n) { return get("Msvm_ComputerSystem", "Name", guid('a', n)); })},
      {"WQL VM by Name", true, one([](size_t n) {
         return query("SELECT * FROM Msvm_ComputerSystem WHERE Name != __SERVER AND Name = '" + guid('a', n) +
                      "'");
       })},
      {"Get relationship by InstanceID", true, one([](size_t n) {
         return get("Msvm_ReplicationRelationship", "InstanceID", "Microsoft:" + guid('a', n) + "\\HVR\\0");
       })},
      {"Get recovery point by InstanceID", true, one([](size_t n) {
         return get("Msvm_VirtualSystemSettingData", "InstanceID", "Microsoft:" + guid('b', 2 * n));
       })},
      {"WQL job by InstanceID", true, one([](size_t n) {
         return query("SELECT * FROM Msvm_ConcreteJob WHERE InstanceID = '" + guid('c', n) + "'");
       })},
      {"ASSOCIATORS OF a VM, AssocClass and ResultClass", true, one([](size_t n) {
         return query(
             "ASSOCIATORS OF " + vm_object(n) +
             " WHERE AssocClass = Msvm_SettingsDefineState ResultClass = Msvm_VirtualSystemSettingData");
       })},
      {"ASSOCIATORS OF a VM, all", true,
       one([](size_t n) { return query("ASSOCIATORS OF " + vm_object(n)); })},
      {"REFERENCES OF a VM, all", true, one([](size_t n) { return query("REFERENCES OF " + vm_object(n)); })},
      {"WQL VM by ElementName", false, one([](size_t n) {
         return query("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'vm" + std::to_string(n) + "'");
       })},
      {"Enumerate Msvm_ComputerSystem, all Pulls", false, [](Side& side, size_t) { all_systems(side); }},
  };
  return all;
}

double at(std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// Both sides in turn, a quarter of a second each, so that what else the machine does falls on both.
void measure(const Kind& kind, std::vector<Side*> sides, double seconds) {
  for (Side* side : sides) {
    side->seconds.clear();
    kind.ask(*side, 0);  // not counted
  }
  const int rounds = std::max(1, static_cast<int>(seconds * 4));
  size_t n = 0;
  for (int round = 0; round < rounds; ++round)
    for (Side* side : sides) {
      const auto until = steady_clock::now() + std::chrono::milliseconds(250);
      while (steady_clock::now() < until) {
        n = (n + 7919) % side->host.views.size();
        const auto begin = steady_clock::now();
        kind.ask(*side, n);
        side->seconds.push_back(std::chrono::duration<double>(steady_clock::now() - begin).count());
      }
    }
  for (Side* side : sides) std::ranges::sort(side->seconds);
}

int run(size_t count, double seconds) {
  Side one(1), many(count);
  int grown = 0;
  std::printf(
      "| request | 1 VM: per s | p99 ms | %zu VMs: per s | p99 ms | medians |\n|---|---|---|---|---|---|\n",
      count);
  for (const Kind& kind : kinds()) {
    measure(kind, {&one, &many}, seconds);
    const double small = at(one.seconds, 0.5), large = at(many.seconds, 0.5);
    std::printf("| %s | %.0f | %.3f | %.4g | %.4g | 1 : %.3g |\n", kind.name, 1 / small,
                at(one.seconds, 0.99) * 1000, 1 / large, at(many.seconds, 0.99) * 1000, large / small);
    std::fflush(stdout);
    if (kind.by_key && large > 2 * small) grown = 1;
  }
  return grown;
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  const size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10000;
  const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 5;
  return understudy::run(std::max<size_t>(count, 1), seconds);
}
