// The settings file of the daemon, /etc/understudy/understudyd.toml. Read once at start; what operators
// change while it runs (recovery server, authorization entries, relationships) is set through the service and
// kept in the state database. docs/reference/configuration.md describes every setting.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace understudy::daemon {

struct Config {
  std::string host_name;  // name of this host in every object; default: the kernel's host name
  std::string libvirt_uri = "qemu:///system";
  std::string state_directory = "/var/lib/understudy";  // state.db, holds/
  std::string run_directory = "/run/understudy";        // wsman.sock
  bool log_json = true;
  std::string log_level = "info";
  std::string revoked = "/etc/understudy/revoked";  // certificates that count no more

  struct Management {
    std::string socket;   // default: run_directory/wsman.sock
    std::string address;  // empty: no HTTPS listener
    uint16_t port = 5986;
    std::string certificate = "/etc/understudy/tls/host.crt";
    std::string key = "/etc/understudy/tls/host.key";
    std::string authority = "/etc/understudy/tls/authority.crt";  // who signs client certificates
    std::string password_file = "/etc/understudy/users";
    std::string certificate_map = "/etc/understudy/certificates.map";
    std::string kerberos_keytab;  // keys of HTTP/HOST@REALM; empty: Kerberos is not offered
    std::string kerberos_map = "/etc/understudy/kerberos.map";
    std::string audit_file;  // default: state_directory/audit.log
  } management;

  struct Replication {
    std::string address = "0.0.0.0";  // of the listener that the service settings turn on
    std::string certificate = "/etc/understudy/tls/host.crt";
    std::string key = "/etc/understudy/tls/host.key";
    std::string authority = "/etc/understudy/tls/authority.crt";
    uint64_t bandwidth = 0;                  // bytes a second that this host sends, 0 = unlimited
    std::map<std::string, uint64_t> quotas;  // bytes that replicas of an authorization entry may take up
  } replication;

  struct Hypervisor {
    std::string scratch_directory = "/var/lib/understudy/scratch";
    uint64_t scratch_bytes = 0;  // most that scratch files of one VM may take; 0 = what is free
    std::string hook_directory = "/etc/libvirt/hooks/qemu.d";
    std::vector<std::string> boot_directories = {"/boot", "/var/lib/libvirt/boot"};
    std::string console_directory;  // NAME.console of each replica is written there; empty: nowhere
    std::map<std::string, std::string> networks;  // a primary's network name -> ours
  } hypervisor;

  struct Health {
    std::string script;            // run on each change of a VM's health; empty: none
    uint32_t script_seconds = 30;  // after which it is ended
  } health;
};

// Unknown names and values out of range are errors that say file, line, name and what is allowed.
Result<Config> load_config(const std::string& path);
Result<Config> parse_config(const std::string& text, const std::string& source_name);

}  // namespace understudy::daemon
