// hypervisor_probe: calls hypervisor/ and source/ from a shell, for tests/e2e/test_hypervisor.py and for
// people who look into a host. One line "ok", or values, on standard output; "error CODE: TEXT" and exit 1.
//
//   hypervisor_probe [--config KEY=VALUE ...] COMMAND ARGUMENT...
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <syncstream>

#include "hypervisor/definition.h"
#include "hypervisor/libvirt_hypervisor.h"
#include "model/codec.h"
#include "source/backup_source.h"

namespace understudy {
namespace {

using hypervisor::LibvirtHypervisor;
using Words = std::vector<std::string>;
using Answer = Result<std::string>;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Answer done(const Status& status) {
  return status ? Answer("ok") : Answer(fail(status.error()));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

Answer inspect(LibvirtHypervisor& h, const Uuid& vm) {
  US_TRY(const core::VmFacts facts, h.inspect(vm));
  return "exists=" + std::to_string(facts.exists) +
         " power=" + std::to_string(static_cast<int>(facts.power)) +
         " managed_save=" + std::to_string(facts.managed_save) + " job=" + std::to_string(facts.job_open) +
         " checkpoints=" + joined(facts.checkpoints) + " broken=" + joined(facts.broken_checkpoints) +
         " changed=" + joined(facts.changed_while_off);
}

Result<std::vector<DiskGeometry>> geometry(LibvirtHypervisor& h, const Uuid& vm, const std::string& disks) {
  US_TRY(const VmDefinition definition, h.definition(vm));
  std::vector<DiskGeometry> found;
  for (const VmDisk& disk : definition.disks) {
    for (const std::string& target : split(disks)) {
      if (target == disk.target) found.push_back({disk.target, disk.size});
    }
  }
  return found;
}

Answer replicable(LibvirtHypervisor& h, const Uuid& vm, const std::string& disks) {
  US_TRY(const std::vector<DiskGeometry> found, h.replicable(vm, split(disks)));
  std::string text;
  for (const DiskGeometry& disk : found)
    text += (text.empty() ? "" : " ") + disk.target + "=" + std::to_string(disk.size);
  return text;
}

// open VM DISKS FROM CHECKPOINT [attempt|require]; "-" for none
Answer open_job(LibvirtHypervisor& h, const Uuid& vm, const Words& words) {
  core::OpenJobRequest request;
  request.vm = vm;
  request.disks = split(words.at(2));
  if (words.at(3) != "-") request.from = words.at(3);
  if (words.at(4) != "-") request.new_checkpoint = words.at(4);
  request.freeze = words.at(5) == "attempt"   ? core::Freeze::attempt
                   : words.at(5) == "require" ? core::Freeze::require
                                              : core::Freeze::no;
  US_TRY(const core::OpenedJob job, h.open_job(request));
  return iso_time(job.cut) + " consistent=" + std::to_string(job.consistent) +
         " frozen_ms=" + std::to_string(job.frozen.whole_millis()) +
         (job.freeze_error ? " freeze_error=" + job.freeze_error->text() : "");
}

Result<std::unique_ptr<transfer::Source>> open_source(LibvirtHypervisor& h, const Uuid& vm,
                                                      const std::string& disks) {
  US_TRY(const hypervisor::ExportInfo info, h.export_of(vm));
  US_TRY(const std::vector<DiskGeometry> sizes, geometry(h, vm, disks));
  std::vector<source::BackupDisk> exports;
  for (const DiskGeometry& disk : sizes) {
    for (const hypervisor::ExportedDisk& e : info.disks) {
      if (e.target == disk.target) exports.push_back({disk, {info.socket, e.name, e.context}});
    }
  }
  return source::open_backup_source(std::move(exports), info.granule);
}

// Writes what the open job delivers into DIRECTORY/0.raw, 1.raw, ...; says "data ZERO-bytes EXTENTS
// expected".
Answer read(LibvirtHypervisor& h, const Uuid& vm, const std::string& disks, const std::string& directory) {
  US_TRY(const std::unique_ptr<transfer::Source> source, open_source(h, vm, disks));
  US_TRY(const uint64_t expected, source->bytes_to_send({}));
  std::map<uint32_t, std::fstream> files;
  uint64_t data = 0, zero = 0, extents = 0;
  const std::string zeroes(1 << 20, '\0');
  const auto deliver = [&](transfer::ExtentData part) -> Status {
    auto [file, fresh] = files.try_emplace(part.extent.disk);
    const std::string path = directory + "/" + std::to_string(part.extent.disk) + ".raw";
    if (fresh) file->second.open(path, std::ios::in | std::ios::out | std::ios::binary);
    file->second.seekp(static_cast<std::streamoff>(part.extent.offset));
    if (!part.extent.zero)
      file->second.write(reinterpret_cast<const char*>(part.data.data()),
                         static_cast<std::streamsize>(part.data.size()));
    for (uint64_t left = part.extent.zero ? part.extent.length : 0; left > 0;) {
      const uint64_t n = std::min<uint64_t>(left, zeroes.size());
      file->second.write(zeroes.data(), static_cast<std::streamsize>(n));
      left -= n;
    }
    (part.extent.zero ? zero : data) += part.extent.length;
    ++extents;
    return file->second ? Status{} : Status(fail(ErrorCode::failed, "writing " + path));
  };
  US_CHECK(source->stream({}, 16 << 20, deliver, CancelToken()));
  return "data=" + std::to_string(data) + " zero=" + std::to_string(zero) +
         " extents=" + std::to_string(extents) + " expected=" + std::to_string(expected) +
         " granule=" + std::to_string(source->granule());
}

// As read, but the data goes nowhere: for timing.
Answer drain(LibvirtHypervisor& h, const Uuid& vm, const std::string& disks) {
  US_TRY(const std::unique_ptr<transfer::Source> source, open_source(h, vm, disks));
  uint64_t data = 0;
  const Monotonic start = SystemClock().now().monotonic;
  US_CHECK(source->stream(
      {}, 16 << 20,
      [&](const transfer::ExtentData& part) -> Status {
        data += part.data.size();
        return {};
      },
      CancelToken()));
  return "data=" + std::to_string(data) +
         " ms=" + std::to_string((SystemClock().now().monotonic - start).whole_millis());
}

std::string slurp(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// nvram VM FILE: writes it there, says how many bytes
Answer nvram(LibvirtHypervisor& h, const Uuid& vm, const std::string& path) {
  US_TRY(const Bytes bytes, h.nvram(vm));
  std::ofstream(path) << as_text(bytes);
  return std::to_string(bytes.size());
}

// check|define DEFINITION STORE [NVRAM]; the first and the last are files
Answer replica(LibvirtHypervisor& h, const Words& words) {
  const std::string text = slurp(words.at(1)), nvram = slurp(words.at(3));
  core::ReplicaRequest request;
  request.nvram.assign(as_bytes(nvram).begin(), as_bytes(nvram).end());
  US_TRY(request.definition, decode<VmDefinition>(text));
  request.store_directory = words.at(2);
  for (const VmDisk& disk : request.definition.disks)
    request.disk_paths.push_back(request.store_directory + "/" + disk.target + ".qcow2");
  if (words.at(0) == "define") return done(h.define_replica(request));
  US_TRY(const std::vector<std::string> warnings, h.check_replica(request));
  return "warnings=" + joined(warnings);
}

// Prints events as they come, until standard input ends.
std::string_view event_name(core::VmEvent event) {
  constexpr std::string_view kNames[] = {"started",   "stopped",      "crashed", "paused_io_error",
                                         "job_ended", "scratch_full", "defined", "undefined"};
  return kNames[static_cast<size_t>(event)];
}
Answer watch(LibvirtHypervisor& h) {
  US_TRY(const auto vms, h.list());
  std::cout << "watching " << vms.size() << std::endl;
  char byte;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return "end";
}

Answer run(LibvirtHypervisor& h, const Words& words) {
  const std::string& command = words.at(0);
  if (command == "prepare") return done(h.prepare());
  if (command == "hook") return done(h.hook_in_force());
  if (command == "watch") return watch(h);
  if (command == "check" || command == "define") return replica(h, words);
  if (command == "owner") {
    US_TRY(const hypervisor::ImageOwner owner, h.image_owner());
    return std::to_string(owner.user) + ":" + std::to_string(owner.group);
  }
  US_TRY(const Uuid vm, Uuid::parse(words.at(1)));
  if (command == "inspect") return inspect(h, vm);
  if (command == "definition") {
    US_TRY(const VmDefinition definition, h.definition(vm));
    return encode(definition);
  }
  if (command == "replicable") return replicable(h, vm, words.at(2));
  if (command == "open") return open_job(h, vm, words);
  if (command == "read") return read(h, vm, words.at(2), words.at(3));
  if (command == "drain") return drain(h, vm, words.at(2));
  if (command == "end") return done(h.end_job(vm));
  if (command == "delete-checkpoint") return done(h.delete_checkpoint(vm, words.at(2)));
  if (command == "watch-disks") return done(h.watch_disks(vm, words.at(2) == "on"));
  if (command == "forget") return done(h.forget_disk_changes(vm));
  if (command == "nvram") return nvram(h, vm, words.at(2));
  if (command == "hold") return done(h.hold(vm, words.at(2)));
  if (command == "held") {
    US_TRY(const bool held, h.held(vm));
    return std::to_string(held);
  }
  if (command == "lift") return done(h.lift_hold(vm));
  if (command == "start") return done(h.start(vm));
  if (command == "stop") return done(h.stop(vm));
  if (command == "undefine") return done(h.undefine(vm));
  if (command == "remove-managed-save") return done(h.remove_managed_save(vm));
  return fail(ErrorCode::invalid_parameter, "no command " + command);
}

void configure(hypervisor::HypervisorConfig& config, const std::string& setting) {
  const size_t at = setting.find('=');
  const std::string key = setting.substr(0, at), value = setting.substr(at + 1);
  if (key == "uri") config.uri = value;
  if (key == "scratch") config.scratch_directory = value;
  if (key == "scratch-space") config.scratch_space = std::stoull(value);
  if (key == "network") config.networks[value.substr(0, value.find('='))] = value.substr(value.find('=') + 1);
  if (key == "firmware") config.firmware_directories = {value};
  if (key == "guard") config.guard_program = value;
  if (key == "serial-log") config.serial_log_directory = value;
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  using namespace understudy;
  Words words(argv + 1, argv + argc);
  hypervisor::HypervisorConfig config;
  while (words.size() >= 2 && words[0] == "--config") {
    configure(config, words[1]);
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.empty()) return 2;
  words.resize(std::max<size_t>(words.size(), 6));
  LibvirtHypervisor h(config);
  h.on_event([](const Uuid& vm, core::VmEvent event) {
    std::osyncstream(std::cout) << "event " << vm.lower() << " " << event_name(event) << std::endl;
  });
  const Answer answer = run(h, words);
  std::osyncstream out(std::cout);  // events come on a thread of libvirt: lines stay whole
  if (answer)
    out << *answer << std::endl;
  else
    out << "error " << error_info(answer.error().code()).name << ": " << answer.error().text() << std::endl;
  return answer ? 0 : 1;
}
