// The script that gives a guest's card its settings, in a folder that looks like a guest: each way of
// configuring a network is a few programs that note how they were called, and the files are real. (busybox's
// shell would prefer its own `ip`, for the machine's own network: that one is tested in a guest.)
#include "hypervisor/guest_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace understudy::hypervisor {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kMac[] = "52:54:00:ab:cd:ef";

class Guest : public testing::TestWithParam<std::vector<std::string>> {
 protected:
  Guest() {
    std::string name = (fs::temp_directory_path() / "understudy-guest-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    for (const char* tool : {"awk", "cat", "chmod", "cp", "grep", "mkdir", "mv", "readlink", "rm", "sed"})
      for (const char* folder : {"/usr/bin/", "/bin/"})
        if (fs::exists(std::string(folder) + tool) && !fs::exists(root_ / "bin" / tool)) {
          fs::create_directories(root_ / "bin");
          fs::create_symlink(std::string(folder) + tool, root_ / "bin" / tool);
        }
    program("sleep", "");
    program("sync", "");
    // The kernel as ip(8) shows it: whatever was ever given is there.
    program("ip", "[ \"$1 $2\" != 'addr show' ] || cat $UNDERSTUDY_ROOT/addresses");
    write("addresses", "2: eth0:\n");
    card("eth0", kMac);
    card("eth1", "52:54:00:00:00:01");
    card("br0", kMac);  // a bridge has its card's address
    fs::remove(root_ / "sys/class/net/br0/device");
    write("etc/resolv.conf", "search example.org\nnameserver 192.0.2.99\n");
  }
  ~Guest() override { fs::remove_all(root_); }

  void card(const std::string& name, const std::string& mac) {
    write("sys/class/net/" + name + "/address", mac + "\n");
    write("sys/class/net/" + name + "/ifindex", name == "eth0" ? "2\n" : "3\n");
    write("sys/class/net/" + name + "/device", "");
  }
  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  std::string read(const std::string& file) {
    std::ifstream in(root_ / file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  void program(const std::string& name, const std::string& body) {
    write("bin/" + name, "#!/bin/sh\n{ printf '" + name +
                             "'; [ $# = 0 ] || printf ' <%s>' \"$@\"; echo; } >>$UNDERSTUDY_ROOT/calls\n" +
                             body + "\n");
    fs::permissions(root_ / "bin" / name, fs::perms::owner_all);
  }
  void shows(const NicSettings& settings) {
    std::string text = "2: eth0:\n";
    for (const IpPrefix& each : settings.addresses)
      text += std::string("    inet") + (each.address.v6 ? "6 " : " ") + each.text() + " scope global eth0\n";
    write("addresses", text);
  }
  // Runs what the agent would run; what it says on both outputs.
  std::string give(const NicSettings& settings, bool takes = true) {
    if (takes) shows(settings);
    const GuestProgram program = network_program(settings);
    write("script", program.input);
    std::string command = "cd / && env UNDERSTUDY_ROOT='" + root_.string() + "'";
    for (const std::string& word : GetParam()) command += " " + word;
    for (const std::string& argument : program.arguments) command += " '" + argument + "'";
    FILE* pipe = ::popen((command + " 2>&1 <'" + (root_ / "script").string() + "'").c_str(), "r");
    std::string said;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) said += static_cast<char>(c);
    status_ = ::pclose(pipe);
    return said;
  }
  std::string calls() { return read("calls"); }

  fs::path root_;
  int status_ = 0;
};

NicSettings settings(std::vector<std::string> addresses, std::vector<std::string> gateways = {},
                     std::vector<std::string> servers = {}, bool dhcp = false) {
  NicSettings s;
  s.mac = kMac;
  s.dhcp = dhcp;
  for (const std::string& text : addresses) s.addresses.push_back(*IpPrefix::parse(text));
  for (const std::string& text : gateways) s.gateways.push_back(*IpAddress::parse(text));
  for (const std::string& text : servers) s.name_servers.push_back(*IpAddress::parse(text));
  EXPECT_TRUE(check(s));
  return s;
}
NicSettings much() {
  return settings({"192.0.2.7/24", "198.51.100.7/25", "2001:db8::7/64"},
                  {"192.0.2.1", "198.51.100.1", "2001:db8::1"}, {"192.0.2.53", "2001:db8::53"});
}

TEST_P(Guest, NetworkManagerIsTold) {
  program("nmcli",
          "case \"$*\" in\n"
          "*'DEVICE,STATE device') printf 'eth1:connected\\neth0:connected\\nlo:unmanaged\\n' ;;\n"
          "*'DEVICE,UUID connection show --active') printf 'eth1:uuid-1\\neth0:uuid-0\\n' ;;\n"
          "esac");
  program("networkctl", "");
  EXPECT_EQ(give(much()), "NetworkManager eth0\n");
  EXPECT_EQ(
      calls(),
      "nmcli <-t> <-f> <DEVICE,STATE> <device>\n"
      "nmcli <-t> <-f> <DEVICE,UUID> <connection> <show> <--active>\n"
      "nmcli <connection> <modify> <uuid-0> <connection.autoconnect> <yes> <ipv4.method> <manual> <ipv4.dns> "
      "<192.0.2.53> <ipv4.addresses> <192.0.2.7/24,198.51.100.7/25> <ipv4.gateway> <192.0.2.1> <ipv4.routes> "
      "<0.0.0.0/0 198.51.100.1 1025> <ipv6.method> <manual> <ipv6.addresses> <2001:db8::7/64> <ipv6.gateway> "
      "<2001:db8::1> <ipv6.routes> <> <ipv6.dns> <2001:db8::53> <ipv4.ignore-auto-dns> <yes> "
      "<ipv6.ignore-auto-dns> <yes>\n"
      "nmcli <--wait> <15> <connection> <up> <uuid-0> <ifname> <eth0>\n"
      "ip <addr> <show> <dev> <eth0>\nsync\n");
  fs::remove(root_ / "calls");
  EXPECT_EQ(give(settings({}, {}, {}, true)), "NetworkManager eth0\n");
  EXPECT_THAT(calls(), HasSubstr("<ipv4.method> <auto> <ipv4.dns> <> <ipv4.addresses> <> <ipv4.gateway> <>"));
  EXPECT_THAT(calls(), HasSubstr("<ipv6.method> <auto>"));
}

TEST_P(Guest, WhatNetworkManagerSaysIsTold) {
  program("nmcli",
          "case \"$*\" in *STATE*) echo eth0:connected ;; *modify*) echo 'Warning: x'; echo 'Error: no' >&2; "
          "exit 2;; esac");
  EXPECT_EQ(give(much()), "nmcli: Error: no\n");
  EXPECT_NE(status_, 0);
}

constexpr char kNetworkdFile[] =
    R"(# Written by Understudy after a failover. Without this file the settings from before hold again.
[Match]
Name=eth0

[Network]
DHCP=no
Address=192.0.2.7/24
Address=198.51.100.7/25
Address=2001:db8::7/64
DNS=192.0.2.53
DNS=2001:db8::53

[Route]
Gateway=192.0.2.1
Metric=1024

[Route]
Gateway=198.51.100.1
Metric=1025

[Route]
Gateway=2001:db8::1
Metric=1026
)";

// Also that of a guest with netplan, and of one with a NetworkManager that leaves this card alone.
TEST_P(Guest, NetworkdReadsOneFileBeforeAllOthers) {
  program("nmcli", "case \"$*\" in *STATE*) echo eth0:unmanaged ;; esac");
  program("netplan", "");
  program("systemctl", "");
  program("networkctl", "");
  write("etc/systemd/network/10-all.network", "[Match]\nName=*\n");
  write("run/systemd/netif/links/2",
        "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-eth0.network\n");
  EXPECT_EQ(give(much()), "systemd-networkd eth0\n");
  EXPECT_EQ(read("etc/systemd/network/00-understudy-eth0.network"), kNetworkdFile);
  EXPECT_EQ(read("etc/systemd/network/10-all.network"), "[Match]\nName=*\n");
  EXPECT_THAT(calls(), HasSubstr("networkctl <reload>\nnetworkctl <reconfigure> <eth0>\n"));
  EXPECT_EQ(give(settings({"2001:db8::8/64"}, {}, {"192.0.2.53"}, true)), "systemd-networkd eth0\n");
  EXPECT_THAT(read("etc/systemd/network/00-understudy-eth0.network"),
              HasSubstr("\nDHCP=ipv4\nAddress=2001:db8::8/64\nDNS=192.0.2.53\n\n[DHCPv4]\nUseDNS=no\n"));
}

TEST_P(Guest, AnOldNetworkdIsRestarted) {
  program("systemctl", "");
  program("networkctl", "exit 1");
  write("run/systemd/netif/links/2", "NETWORK_FILE=/etc/systemd/network/lan.network\n");
  EXPECT_EQ(give(much()), "systemd-networkd eth0\n");
  EXPECT_THAT(calls(), HasSubstr("systemctl <restart> <systemd-networkd>\n"));
}

TEST_P(Guest, IfupdownsFilesLoseTheCardAndGetItAnew) {
  program("ifup", "");
  program("ifdown", "");
  program("systemctl", "exit 3");
  program("networkctl", "");
  write("etc/network/interfaces", R"(source /etc/network/interfaces.d/*

auto lo eth0
allow-hotplug eth0
iface lo inet loopback

# the LAN
iface eth0 inet static
    address 10.0.0.5/24
    gateway 10.0.0.1
iface eth1 inet dhcp
)");
  write("etc/network/interfaces.d/six", "iface eth0 inet6 auto\n    accept_ra 2\niface eth01 inet manual\n");
  EXPECT_EQ(give(much()), "ifupdown eth0\n");
  EXPECT_EQ(read("etc/network/interfaces"), R"(source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# the LAN
iface eth1 inet dhcp

# Written by Understudy after a failover.
auto eth0

iface eth0 inet static
    address 192.0.2.7/24
    gateway 192.0.2.1
    up ip route add default via 198.51.100.1 dev eth0 metric 1025 || true

iface eth0 inet static
    address 198.51.100.7/25

iface eth0 inet6 static
    address 2001:db8::7/64
    gateway 2001:db8::1
    dns-nameservers 192.0.2.53 2001:db8::53
)");
  EXPECT_EQ(read("etc/network/interfaces.d/six"), "iface eth01 inet manual\n");
  EXPECT_EQ(read("etc/resolv.conf"), "search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n");
  EXPECT_THAT(
      calls(),
      HasSubstr("ifdown <--force> <eth0>\nip <addr> <flush> <dev> <eth0> <scope> <global>\nifup <eth0>\n"));
  const std::string once = read("etc/network/interfaces");
  EXPECT_EQ(give(much()), "ifupdown eth0\n");
  EXPECT_EQ(read("etc/network/interfaces").find("192.0.2.7"),
            read("etc/network/interfaces").rfind("192.0.2.7"))
      << "given again, it is there once";
}

TEST_P(Guest, BareIproute2IsCalled) {
  EXPECT_EQ(give(much()), "iproute2 eth0\n");
  EXPECT_EQ(calls(),
            "ip <link> <set> <dev> <eth0> <up>\n"
            "ip <-4> <addr> <flush> <dev> <eth0> <scope> <global>\n"
            "ip <-6> <addr> <flush> <dev> <eth0> <scope> <global>\n"
            "ip <addr> <add> <192.0.2.7/24> <dev> <eth0>\n"
            "ip <addr> <add> <198.51.100.7/25> <dev> <eth0>\n"
            "ip <addr> <add> <2001:db8::7/64> <dev> <eth0>\n"
            "ip <-4> <route> <replace> <default> <via> <192.0.2.1> <dev> <eth0>\n"
            "ip <-4> <route> <replace> <default> <via> <198.51.100.1> <dev> <eth0> <metric> <1025>\n"
            "ip <-6> <route> <replace> <default> <via> <2001:db8::1> <dev> <eth0>\n"
            "ip <addr> <show> <dev> <eth0>\n"
            "sync\n");
  EXPECT_EQ(read("etc/resolv.conf"), "search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n");
  program("udhcpc", "");
  EXPECT_EQ(give(settings({}, {}, {}, true)), "iproute2 eth0\n");
  EXPECT_THAT(calls(), HasSubstr("udhcpc <-i> <eth0> <-n> <-q>\n"));
}

// The agent of a guest with systemd is up before its network is.
TEST_P(Guest, AGuestThatIsStillStartingIsLeftAlone) {
  program("systemctl", "case \"$*\" in is-system-running) echo starting; exit 1 ;; esac; exit 3");
  program("networkctl", "");
  program("ifup", "");
  write("run/systemd/system/x", "");
  write("etc/network/interfaces", "iface eth0 inet dhcp\n");
  EXPECT_EQ(give(much()), "the guest is still starting\n");
  EXPECT_EQ(WEXITSTATUS(status_), 75);
  EXPECT_EQ(calls().find("ip "), std::string::npos);
  program("nmcli", "case \"$*\" in *STATE*) echo eth0:connecting ;; esac");
  EXPECT_EQ(give(much()), "the guest is still starting\n")
      << "NetworkManager has not chosen a connection yet";
  fs::remove(root_ / "bin/nmcli");
  program("systemctl", "case \"$*\" in is-system-running) echo degraded; exit 1 ;; esac; exit 3");
  EXPECT_EQ(give(much()), "ifupdown eth0\n");
}

TEST_P(Guest, WhatACardIsPartOfHasItsAddresses) {
  fs::create_symlink("../bond0", root_ / "sys/class/net/eth0/master");
  write("sys/class/net/bond0/address", "52:54:00:00:00:09\n");
  EXPECT_EQ(give(much()), "iproute2 bond0\n");
}

TEST_P(Guest, RefusalsSayWhy) {
  NicSettings other = much();
  other.mac = "52:54:00:00:00:ff";
  EXPECT_EQ(give(other), "no network card has the MAC address 52:54:00:00:00:ff\n");
  EXPECT_NE(status_, 0);
  write("addresses", "2: eth0:\n");
  EXPECT_EQ(give(much(), false),
            "iproute2 took the settings of eth0, but the card does not have its addresses\n");
  EXPECT_NE(status_, 0);
  EXPECT_EQ(give(settings({}, {}, {}, true)), "this guest has no DHCP client for eth0\n");
  EXPECT_NE(status_, 0);
  fs::remove(root_ / "bin/ip");
  EXPECT_THAT(give(much()), HasSubstr("nor the program ip\n"));
  EXPECT_NE(status_, 0);
}

INSTANTIATE_TEST_SUITE_P(Shells, Guest,
                         testing::Values(std::vector<std::string>{"/bin/sh"},
                                         std::vector<std::string>{"/bin/bash", "--posix"}),
                         [](const auto& shell) { return shell.param.size() == 1 ? "sh" : "bash"; });

TEST(GuestNetwork, CardsOfADomainAreItsInterfaces) {
  const auto cards = read_network_cards(
      "<domain><devices><disk type='file'/>"
      "<interface type='network'><mac address='52:54:00:AB:CD:EF'/><source network='lan'/><model "
      "type='virtio'/></interface>"
      "<interface type='hostdev'><mac address='52:54:00:00:00:01'/></interface>"
      "<interface type='user'/></devices></domain>");
  ASSERT_TRUE(cards);
  ASSERT_EQ(cards->size(), 2U);
  EXPECT_EQ((*cards)[0].mac, kMac);
  EXPECT_EQ((*cards)[0].network, "lan");
  EXPECT_EQ((*cards)[1].mac, "52:54:00:00:00:01");
}

}  // namespace
}  // namespace understudy::hypervisor
