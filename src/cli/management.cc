#include "cli/management.h"

#include <algorithm>
#include <charconv>

#include "cim/value.h"

namespace understudy::cli {
namespace {
constexpr size_t kMostNamesListed = 20;
constexpr ErrorCode kCodes[] = {
#define US_ERROR(name, cim, fault, http, exit_code, retry, text) ErrorCode::name,
#include "base/errors.def"
#undef US_ERROR
};
}  // namespace

Result<HostAndPort> parse_host(const std::string& text) {
  HostAndPort result{text, 0};
  const size_t bracket = text.starts_with("[") ? text.find(']') : std::string::npos;
  size_t colon = text.rfind(':');
  if (bracket != std::string::npos) {
    result.host = text.substr(1, bracket - 1);
    colon = bracket + 1 < text.size() ? bracket + 1 : std::string::npos;
  } else if (std::ranges::count(text, ':') > 1) {
    colon = std::string::npos;  // a bare IPv6 address
  } else if (colon != std::string::npos) {
    result.host = text.substr(0, colon);
  }
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, result.port);
    if (text[colon] != ':' || parsed.ec != std::errc() || parsed.ptr != end || result.port == 0)
      result.host.clear();
  }
  if (result.host.empty())
    return fail(ErrorCode::invalid_parameter, "'" + text + "' is no HOST or HOST:PORT");
  return result;
}

std::string where(const std::string& class_name, const std::string& property, const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '\'') escaped += '\\';
    escaped += c;
  }
  return "SELECT * FROM " + class_name + " WHERE " + property + " = '" + escaped + "'";
}

Result<cim::Instance> only(Management& management, const std::string& query, const std::string& what) {
  US_TRY(auto found, management.enumerate(query));
  if (found.size() != 1)
    return fail(ErrorCode::not_found, what + " does not exist on " + management.server());
  return std::move(found.front());
}

cim::ObjectPath service_path() {
  return {"Msvm_ReplicationService", {{"CreationClassName", "Msvm_ReplicationService"}}};
}

cim::ObjectPath own_service_path() {
  return {"Understudy_ReplicationService", {{"CreationClassName", "Understudy_ReplicationService"}}};
}

cim::ObjectPath vm_path(const cim::Instance& status) {
  return {"Msvm_ComputerSystem",
          {{"CreationClassName", "Msvm_ComputerSystem"},
           {"Name", status.get("VirtualSystemIdentifier").text().value_or("")}}};
}

Result<cim::Instance> find_vm(Management& management, const std::string& name_or_id) {
  US_TRY(auto all, management.enumerate("Understudy_ReplicationStatus"));
  for (const char* property : {"VirtualSystemIdentifier", "ElementName"})
    for (cim::Instance& status : all) {
      const std::string text = status.get(property).text().value_or("");
      // An id in either case, a name as it is written.
      if (text == name_or_id || (property[0] == 'V' && cim::same_name(text, name_or_id)))
        return std::move(status);
    }
  std::string names;
  for (size_t i = 0; i < all.size() && i < kMostNamesListed; ++i)
    names += (i == 0 ? "" : ", ") + all[i].get("ElementName").text().value_or("");
  if (all.size() > kMostNamesListed) names += ", ... (understudy list)";
  return fail(ErrorCode::not_found, "there is no VM '" + name_or_id + "' on " + management.server(),
              names.empty() ? "no VM is defined there" : "the VMs there are: " + names);
}

ErrorCode code_of_return(uint64_t value) {
  if (value == 1) return ErrorCode::not_supported;
  if (value == 4097) return ErrorCode::invalid_state;
  for (const ErrorCode code : kCodes)
    if (error_info(code).cim_return == value) return code;
  return ErrorCode::failed;
}

Result<std::optional<Uuid>> call(Management& management, const cim::ObjectPath& path,
                                 const std::string& method, const cim::Instance& parameters) {
  US_TRY(const cim::InvokeResult result, management.invoke(path, method, parameters));
  if (result.return_value == 0) return std::optional<Uuid>();
  if (result.return_value != 4096) {
    if (result.error) return fail(*result.error);
    const ErrorCode code = code_of_return(result.return_value);
    return fail(code, method + ": " + std::string(error_info(code).text) + " (" +
                          std::to_string(result.return_value) + ")");
  }
  const auto job = result.out.get("Job").path();
  const auto key = job ? job->keys.find("InstanceID") : decltype(job->keys.begin()){};
  if (!job || key == job->keys.end())
    return fail(ErrorCode::protocol, method + " started a job and does not say which");
  US_TRY(const Uuid id, Uuid::parse(key->second));
  return std::optional(id);
}

}  // namespace understudy::cli
