#include "daemon/config.h"

#include <unistd.h>

#include <fstream>
#include <functional>
#include <set>
#include <sstream>

// Header only: the packaged library is built with exceptions.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace understudy::daemon {
namespace {

// One table of the file: takes the settings it knows, and then refuses what is left over.
class Section {
 public:
  Section(const toml::table* table, std::string name, std::string source)
      : table_(table), name_(std::move(name)), source_(std::move(source)) {}

  void text(const char* key, std::string& into, size_t least = 0) {
    take<std::string>(key, "a text", [&](const std::string& value) {
      if (value.size() < least || value.size() > 4096) return false;
      into = value;
      return true;
    });
  }
  template <class N>
  void number(const char* key, N& into, int64_t least, int64_t most) {
    const std::string allowed =
        "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    take<int64_t>(key, allowed.c_str(), [&](int64_t value) {
      if (value < least || value > most) return false;
      into = static_cast<N>(value);
      return true;
    });
  }
  void flag(const char* key, bool& into) {
    take<bool>(key, "true or false", [&](bool value) {
      into = value;
      return true;
    });
  }
  void texts(const char* key, std::vector<std::string>& into) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) return refuse(key, *node, "a list of texts");
    into.clear();
    for (const toml::node& item : *array) {
      const auto value = item.value_exact<std::string>();
      if (!value) return refuse(key, item, "a list of texts");
      into.push_back(*value);
    }
  }
  void map(const char* key, std::map<std::string, std::string>& into) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::table* table = node->as_table();
    if (table == nullptr) return refuse(key, *node, "a table of texts");
    for (const auto& [name, item] : *table) {
      const auto value = item.value_exact<std::string>();
      if (!value) return refuse(key, item, "a table of texts");
      into[std::string(name.str())] = *value;
    }
  }
  Section section(const char* key) {
    const toml::node* node = find(key);
    if (node != nullptr && node->as_table() == nullptr)
      refuse(key, *node, "a table: [" + std::string(key) + "]");
    return {node == nullptr ? nullptr : node->as_table(), name_ + key + ".", source_};
  }
  Status finish() {
    if (table_ != nullptr && status_)
      for (const auto& [key, node] : *table_)
        if (!known_.contains(std::string(key.str())))
          refuse(std::string(key.str()), node, "no setting of this name");
    return status_;
  }

 private:
  const toml::node* find(const char* key) {
    known_.insert(key);
    return table_ == nullptr ? nullptr : table_->get(key);
  }
  template <class T, class Use>
  void take(const char* key, const char* allowed, Use use) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<T>();
    if (!value || !use(*value)) refuse(key, *node, allowed);
  }
  void refuse(const std::string& key, const toml::node& node, const std::string& allowed) {
    if (!status_) return;
    status_ = fail(ErrorCode::invalid_parameter, source_ + ":" + std::to_string(node.source().begin.line) +
                                                     ": " + name_ + key + ": " + allowed + " is wanted");
  }

  const toml::table* table_;
  std::string name_;
  std::string source_;
  std::set<std::string> known_;
  Status status_;
};

Status read_management(Section section, Config::Management& m) {
  section.text("socket", m.socket);
  section.text("address", m.address);
  section.number("port", m.port, 1, 65535);
  section.text("certificate", m.certificate);
  section.text("key", m.key);
  section.text("authority", m.authority);
  section.text("password_file", m.password_file);
  section.text("certificate_map", m.certificate_map);
  section.text("audit_file", m.audit_file);
  return section.finish();
}

Status read_replication(Section section, Config::Replication& r) {
  section.text("address", r.address, 1);
  section.text("certificate", r.certificate);
  section.text("key", r.key);
  section.text("authority", r.authority);
  section.number("bandwidth", r.bandwidth, 0, INT64_MAX);
  return section.finish();
}

Status read_hypervisor(Section section, Config::Hypervisor& h) {
  section.text("scratch_directory", h.scratch_directory, 1);
  section.number("scratch_bytes", h.scratch_bytes, 0, INT64_MAX);
  section.text("hook_directory", h.hook_directory, 1);
  section.text("console_directory", h.console_directory);
  section.texts("boot_directories", h.boot_directories);
  section.map("networks", h.networks);
  return section.finish();
}

Status read_health(Section section, Config::Health& h) {
  section.text("script", h.script);
  section.number("script_seconds", h.script_seconds, 1, 600);
  US_CHECK(section.finish());
  if (h.script.empty() || h.script.front() == '/') return {};
  return fail(ErrorCode::invalid_parameter, "health.script: '" + h.script + "' is no absolute path");
}

}  // namespace

Result<Config> parse_config(const std::string& text, const std::string& source_name) {
  const toml::parse_result parsed = toml::parse(text, source_name);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return fail(ErrorCode::invalid_parameter, source_name + ":" + std::to_string(error.source().begin.line) +
                                                  ": " + std::string(error.description()));
  }
  Config config;
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0) config.host_name = name;
  Section root(&parsed.table(), "", source_name);
  root.text("host_name", config.host_name, 1);
  root.text("libvirt_uri", config.libvirt_uri, 1);
  root.text("state_directory", config.state_directory, 1);
  root.text("run_directory", config.run_directory, 1);
  root.flag("log_json", config.log_json);
  root.text("log_level", config.log_level);
  US_CHECK(read_management(root.section("management"), config.management));
  US_CHECK(read_replication(root.section("replication"), config.replication));
  US_CHECK(read_hypervisor(root.section("hypervisor"), config.hypervisor));
  US_CHECK(read_health(root.section("health"), config.health));
  US_CHECK(root.finish());
  if (config.management.audit_file.empty())
    config.management.audit_file = config.state_directory + "/audit.log";
  if (config.management.socket.empty()) config.management.socket = config.run_directory + "/wsman.sock";
  return config;
}

Result<Config> load_config(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return fail(ErrorCode::not_found, "cannot read the settings file " + path,
                "write it, or name another: understudyd --config FILE");
  std::ostringstream text;
  text << file.rdbuf();
  return parse_config(text.str(), path);
}

}  // namespace understudy::daemon
