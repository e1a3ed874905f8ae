#include "hypervisor/freeze.h"

#include "base/limits.h"
#include "base/log.h"
#include "hypervisor/element.h"

namespace understudy::hypervisor {
namespace {

constexpr std::string_view kAgent = "org.qemu.guest_agent.0";

void bound_answers(virDomain* domain) {
  virDomainAgentSetResponseTimeout(domain, static_cast<int>(limits::kAgentAnswer.whole_seconds()), 0);
}
// Others who ask the agent wait as long as they did.
void unbound_answers(virDomain* domain) {
  virDomainAgentSetResponseTimeout(domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
}

// What can be known without asking the agent.
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

// An agent that does not answer an idle question is not asked to freeze: what it has not been asked it cannot
// do later, when nobody waits for it any more. One that refuses to answer (it is frozen, or may not) does
// answer.
Status check_answers(const std::string& name, virDomain* domain) {
  long long seconds = 0;
  unsigned nanoseconds = 0;
  if (virDomainGetTime(domain, &seconds, &nanoseconds, 0) == 0) return {};
  const Error error = libvirt_error("asking the agent of VM " + name);
  if (error.code() != ErrorCode::timeout && error.code() != ErrorCode::not_available) return {};
  return fail(error.with_hint("in the guest: systemctl restart qemu-guest-agent"));
}

}  // namespace

Result<FrozenGuest> FrozenGuest::freeze(virDomain* domain, std::string_view live_xml, const GuardTask& task) {
  const std::string name = name_of(domain);
  US_CHECK(check_agent(name, domain, live_xml));
  US_CHECK(thaw_left_over(domain, task.mark));
  US_TRY(Guard guard, Guard::start(task));
  bound_answers(domain);
  if (Status status = check_answers(name, domain); !status) {
    unbound_answers(domain);
    guard.release();
    return fail(status.error());
  }
  const Monotonic since = SystemClock().now().monotonic;
  const int frozen = virDomainFSFreeze(domain, nullptr, 0, 0);
  if (frozen > 0) {
    guard.tell_frozen();
    return FrozenGuest(domain, std::move(guard), since);
  }
  if (frozen == 0) {
    static_cast<void>(FrozenGuest(domain, std::move(guard), since).thaw());
    return fail(ErrorCode::not_supported, "the agent of VM " + name + " found no file system to freeze");
  }
  const Error error = libvirt_error("freezing the file systems of VM " + name);
  if (error.code() == ErrorCode::timeout || error.code() == ErrorCode::not_available) {
    guard.abandon();  // the agent may freeze yet
    return fail(error.with_hint("look at what the guest is busy with"));
  }
  unbound_answers(domain);
  guard.release();
  const bool already = error.message().find("frozen state") != std::string::npos;
  return fail(already ? error.with_hint("if no other program is at work on it: virsh domfsthaw " + name)
                      : error);
}

FrozenGuest::~FrozenGuest() {
  if (domain_ != nullptr) static_cast<void>(thaw());
}

Status FrozenGuest::thaw() {
  virDomain* const domain = std::exchange(domain_, nullptr);
  const std::string name = name_of(domain);
  const int thawed = virDomainFSThaw(domain, nullptr, 0, 0);
  if (thawed < 0) {
    const Error error = libvirt_error("thawing the file systems of VM " + name);
    guard_.abandon();
    return fail(error);
  }
  unbound_answers(domain);
  if (guard_.release() && thawed > 0) return {};
  return fail(ErrorCode::timeout,
              "the file systems of VM " + name + " were thawed before the cut was known to be made",
              "it is tried again at the next cut; an overloaded host or disk is the usual reason");
}

Status agent_answers(virDomain* domain, std::string_view live_xml) {
  const std::string name = name_of(domain);
  US_CHECK(check_agent(name, domain, live_xml));
  bound_answers(domain);
  const Status answers = check_answers(name, domain);
  unbound_answers(domain);
  return answers;
}

Status thaw_left_over(virDomain* domain, const std::string& mark) {
  const std::optional<unsigned> left = left_over(mark);
  if (!left) return {};
  if (is_active(domain) && virDomainGetID(domain) == *left) {
    const std::string name = name_of(domain);
    bound_answers(domain);
    const int thawed = virDomainFSThaw(domain, nullptr, 0, 0);
    const Error error = libvirt_error("undoing a freeze that was left over in VM " + name);
    unbound_answers(domain);
    if (thawed < 0) return fail(error.with_hint("virsh domfsthaw " + name));
    log_warning("hypervisor", "a freeze that was left over is undone",
                {{"vm", name}, {"file_systems", thawed}});
  }
  ::unlink(mark.c_str());
  return {};
}

}  // namespace understudy::hypervisor
