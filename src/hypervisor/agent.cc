#include "hypervisor/agent.h"

#include <libvirt/libvirt-qemu.h>

#include "base/base64.h"
#include "base/limits.h"
#include "hypervisor/element.h"

namespace understudy::hypervisor {
namespace {

constexpr std::string_view kAgent = "org.qemu.guest_agent.0";
constexpr Duration kLookAgain = Duration::millis(100);  // for the end of a program

Result<JsonObject> ask(virDomain* domain, std::string_view command, const JsonObject& arguments) {
  const std::string name = name_of(domain);
  JsonObject request;
  request.set("execute", command);
  request.set("arguments", arguments);
  const LibvirtText reply(virDomainQemuAgentCommand(
      domain, request.text().c_str(), static_cast<int>(limits::kAgentAnswer.whole_seconds()), 0));
  if (reply == nullptr) return fail(libvirt_error("asking the agent of VM " + name));
  return read_reply(reply.get());
}

// What the agent may not run, or the guest does not have.
Error refusal(const std::string& name, const Error& error) {
  if (error.code() != ErrorCode::failed) return error;
  return error.with_hint("in the guest of " + name +
                         ": let qemu-guest-agent use guest-exec (/etc/qemu/qemu-ga.conf, "
                         "/etc/sysconfig/qemu-ga), and restart it");
}

// Text of the guest: bounded, and without what a terminal would act on.
std::string said(const JsonObject& status, std::string_view member) {
  if (!status.has(member)) return {};
  const auto encoded = status.text(member);
  const auto bytes = encoded ? from_base64(*encoded) : fail(encoded.error());
  if (!bytes) return {};
  std::string text(as_text(*bytes).substr(0, limits::kMostGuestText));
  for (char& c : text)
    if (c != '\n' && (c < ' ' || c == 0x7f)) c = '?';
  return text;
}

}  // namespace

Result<JsonObject> read_reply(std::string_view text) {
  US_TRY(const JsonObject reply, JsonObject::parse(text));
  return reply.object("return");
}

Result<std::optional<GuestResult>> read_status(const JsonObject& status) {
  US_TRY(const bool exited, status.flag("exited"));
  if (!exited) return std::nullopt;
  GuestResult result{-1, said(status, "out-data"), said(status, "err-data")};
  if (status.has("exitcode")) {
    US_TRY(result.exit_code, status.signed_number("exitcode"));
  }
  return result;
}

Status check_agent(const std::string& name, virDomain* domain, std::string_view live_xml) {
  US_TRY(const Element document, parse_xml(live_xml));
  const Element* channel = nullptr;
  if (const Element* devices = document.child("devices")) {
    for (const Element& e : devices->children)
      if (e.name == "channel" && e.attribute_at("target", "name") == kAgent) channel = &e;
  }
  if (channel == nullptr) {
    return fail(ErrorCode::not_supported, "VM " + name + " has no channel for a guest agent",
                "virsh edit " + name + ": add <channel type='unix'><target type='virtio' name='" +
                    std::string(kAgent) + "'/></channel>; install qemu-guest-agent in the guest");
  }
  if (channel->attribute_at("target", "state") == "disconnected") {
    return fail(ErrorCode::not_available, "no guest agent runs in VM " + name,
                "in the guest: install and start qemu-guest-agent");
  }
  int state = 0;
  if (virDomainGetState(domain, &state, nullptr, 0) == 0 && state == VIR_DOMAIN_PAUSED)
    return fail(ErrorCode::invalid_state, "VM " + name + " is paused, and so is its agent",
                "virsh resume " + name);
  return {};
}

Result<GuestResult> run_in_guest(virDomain* domain, const GuestProgram& program, Duration most,
                                 const CancelToken& cancel) {
  JsonObject exec;
  exec.set("path", program.path);
  exec.set("arg", program.arguments);
  exec.set("input-data", to_base64(as_bytes(program.input)));
  exec.set("capture-output", true);
  const std::string name = name_of(domain);
  const auto started = ask(domain, "guest-exec", exec);
  if (!started) return fail(refusal(name, started.error()));
  JsonObject which;
  US_TRY(const int64_t pid, started->signed_number("pid"));
  which.set("pid", pid);
  const SystemClock clock;
  const Monotonic end = clock.now().monotonic + most;
  for (;;) {
    US_TRY(const JsonObject status, ask(domain, "guest-exec-status", which));
    US_TRY(auto result, read_status(status));
    if (result) return std::move(*result);
    if (clock.now().monotonic >= end)
      return fail(ErrorCode::failed,
                  program.path + " in VM " + name + " did not end within " +
                      std::to_string(most.whole_seconds()) + " s",
                  "look into the guest: virsh console " + name);
    if (CancelToken::wait({cancel}, kLookAgain)) return fail(cancel.check().error());
  }
}

}  // namespace understudy::hypervisor
