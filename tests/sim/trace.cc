#include "trace.h"

#include <cstdio>

#include "host.h"

namespace understudy::sim {
namespace {

void print(Monotonic now, const std::string& text) {
  std::printf("%12.6f  %s\n", static_cast<double>(now.us) / 1e6, text.c_str());
}

}  // namespace

void Trace::add(std::string_view text) {
  for (const char c : text) add(static_cast<uint64_t>(static_cast<unsigned char>(c)));
}

void Trace::note(std::string_view what, int host, uint64_t value) {
  add(what);
  add(static_cast<uint64_t>(host));
  add(value);
  add(static_cast<uint64_t>(fibers_.now().us));
  if (!print_) return;
  const char* const names[] = {"hosta ", "hostb "};
  print(fibers_.now(),
        (host < 0 ? "" : names[host]) + std::string(what) + (value != 0 ? " " + std::to_string(value) : ""));
}

void Trace::step(const Host& host, std::string_view event, const core::State& before) {
  const core::State& after = host.engine();
  add(event);
  add(static_cast<uint64_t>(host.index) * 64 + static_cast<uint64_t>(after.phase));
  add(after.lineage.sequence * 1024 + after.base_sequence);
  add(static_cast<uint64_t>(fibers_.now().us));
  if (!print_) return;
  std::string line = host.name + "   " + std::string(event);
  line += "  " + std::string(core::phase_name(before.phase));
  if (after.phase != before.phase) line += " -> " + std::string(core::phase_name(after.phase));
  line += "  base " + std::to_string(after.base_sequence);
  if (after.cut) line += " cut " + std::to_string(after.cut->sequence) + (after.cut->made ? " made" : "");
  if (after.cause && after.cause != before.cause) line += "  [" + after.cause->message() + "]";
  for (const Job& job : after.jobs) {
    const Job* was = core::find_job(before, job.id);
    if (job.error && (was == nullptr || !was->error))
      line += "  [" + job.title + ": " + job.error->message() + "]";
  }
  print(fibers_.now(), line);
}

void Trace::text(const std::function<std::string()>& make) {
  if (print_) print(fibers_.now(), make());
}

}  // namespace understudy::sim
