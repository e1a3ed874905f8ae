# Gives one network card of this guest its settings, by whatever is in charge of the card here, so that they last over
# a restart of the guest (by bare iproute2 they do not). The guest's agent runs it:
#     sh -s -- MAC [dhcp] [address=ADDRESS/BITS]... [gateway=ADDRESS]... [dns=ADDRESS]...
# Ends with 0 when the card has the addresses, and says by what; with 75 when the guest is still starting and nobody is in
# charge of the card yet. Else the last line of standard error says why.
# The values were parsed by who sends them: digits, letters a-f, dots, colons, a slash. A card without an IPv6 address
# keeps IPv6 automatic; one with neither dhcp nor an IPv4 address gets no IPv4.
set -u
root=${UNDERSTUDY_ROOT:-} # a test runs it in a folder, with the programs of that folder
PATH=${PATH:-}:/usr/sbin:/usr/bin:/sbin:/bin
[ -z "$root" ] || PATH=$root/bin
export PATH LC_ALL=C
newline='
'

fail() {
  echo "$1" >&2
  exit 1
}
later() {
  echo "the guest is still starting" >&2
  exit 75
}
have() { command -v "$1" >/dev/null 2>&1; }
run() { # COMMAND...: silent, but for the reason why it failed
  said=$("$@" 2>&1) || fail "$1: ${said##*"$newline"}"
}
join() { # SEPARATOR WORD...
  separator=$1 joined=
  shift
  for word; do joined=${joined:+$joined$separator}$word; done
  echo "$joined"
}
first() { echo "${1:-}"; }

read_arguments() {
  mac=$1
  shift
  dhcp=no address4='' address6='' gateway4='' gateway6='' dns='' dns4='' dns6=''
  for word; do
    value=${word#*=}
    case $word in
      dhcp) dhcp=yes ;;
      address=*:*) address6="$address6 $value" ;;
      address=*) address4="$address4 $value" ;;
      gateway=*:*) gateway6="$gateway6 $value" ;;
      gateway=*) gateway4="$gateway4 $value" ;;
      dns=*:*) dns6="$dns6 $value" dns="$dns $value" ;;
      dns=*) dns4="$dns4 $value" dns="$dns $value" ;;
      *) fail "unknown setting $word" ;;
    esac
  done
}

# The agent is up before the network is. Whoever is not in charge yet would undo what is done now.
starting() {
  [ -d "$root/run/systemd/system" ] || return 1
  case $(systemctl is-system-running 2>/dev/null) in
    initializing | starting) return 0 ;;
  esac
  return 1
}

# Bridges, bonds and VLANs have the MAC of a card but no device. What a card is part of has its addresses.
find_card() {
  dev=
  for folder in "$root"/sys/class/net/*; do
    [ -e "$folder/device" ] && read -r has <"$folder/address" && [ "$has" = "$mac" ] || continue
    dev=${folder##*/}
    if [ -e "$folder/master" ]; then
      master=$(readlink "$folder/master")
      dev=${master##*/}
    fi
  done
  [ -n "$dev" ] || fail "no network card has the MAC address $mac"
}

# --- NetworkManager, also when netplan wrote its connections ---

of_device() { # second field of the lines DEVICE:FIELD of our device
  while IFS=: read -r device field; do [ "$device" != "$dev" ] || echo "$field"; done
}
network_manager_has_it() {
  have nmcli || return 1
  case $(nmcli -t -f DEVICE,STATE device 2>/dev/null | of_device) in
    '' | *unmanaged*) return 1 ;;
  esac
}
further_routes() { # ANY GATEWAY...: default routes over all gateways but the first
  any=$1 metric=1024 routes=
  shift
  for gateway; do
    [ $metric = 1024 ] || routes="${routes:+$routes, }$any $gateway $metric"
    metric=$((metric + 1))
  done
  echo "$routes"
}
use_network_manager() {
  connection=$(nmcli -t -f DEVICE,UUID connection show --active | of_device)
  if [ -z "$connection" ]; then
    ! starting || later
    connection=understudy-failover
    run nmcli connection add type ethernet ifname "$dev" con-name $connection
  fi
  patience=15
  set -- connection.autoconnect yes
  if [ $dhcp = yes ]; then
    patience=0
    set -- "$@" ipv4.method auto ipv4.dns "$(join , $dns4)"
  elif [ -n "$address4" ]; then
    set -- "$@" ipv4.method manual ipv4.dns "$(join , $dns4)"
  else
    set -- "$@" ipv4.method disabled ipv4.dns ''
  fi
  set -- "$@" ipv4.addresses "$(join , $address4)" ipv4.gateway "$(first $gateway4)" \
    ipv4.routes "$(further_routes 0.0.0.0/0 $gateway4)"
  if [ -n "$address6" ]; then set -- "$@" ipv6.method manual; else set -- "$@" ipv6.method auto; fi
  set -- "$@" ipv6.addresses "$(join , $address6)" ipv6.gateway "$(first $gateway6)" \
    ipv6.routes "$(further_routes ::/0 $gateway6)" ipv6.dns "$(join , $dns6)"
  only=no
  [ -z "$dns" ] || only=yes
  set -- "$@" ipv4.ignore-auto-dns $only ipv6.ignore-auto-dns $only
  run nmcli connection modify "$connection" "$@"
  run nmcli --wait $patience connection up "$connection" ifname "$dev"
}

# --- systemd-networkd; one file counts for a card, the first by name: ours goes before those of netplan ---

networkd_has_it() {
  have networkctl && have systemctl && systemctl -q is-active systemd-networkd 2>/dev/null || return 1
  read -r index <"$root/sys/class/net/$dev/ifindex" || return 1
  grep -q '^NETWORK_FILE=.' "$root/run/systemd/netif/links/$index" 2>/dev/null
}
use_networkd() {
  file=$root/etc/systemd/network/00-understudy-$dev.network
  mkdir -p "${file%/*}"
  {
    echo "# Written by Understudy after a failover. Without this file the settings from before hold again."
    echo "[Match]"
    echo "Name=$dev"
    echo
    echo "[Network]"
    if [ $dhcp = yes ]; then echo "DHCP=ipv4"; else echo "DHCP=no"; fi
    for each in $address4 $address6; do echo "Address=$each"; done
    for each in $dns; do echo "DNS=$each"; done
    metric=1024
    for each in $gateway4 $gateway6; do
      printf '\n[Route]\nGateway=%s\nMetric=%s\n' "$each" $metric
      metric=$((metric + 1))
    done
    if [ $dhcp = yes ] && [ -n "$dns" ]; then printf '\n[DHCPv4]\nUseDNS=no\n'; fi
  } >"$file.new" || fail "$file cannot be written"
  chmod 644 "$file.new"
  mv "$file.new" "$file" || fail "$file cannot be written"
  networkctl reload >/dev/null 2>&1 && networkctl reconfigure "$dev" >/dev/null 2>&1 ||
    run systemctl restart systemd-networkd
}

# --- ifupdown ---

interfaces() {
  for file in "$root/etc/network/interfaces" "$root"/etc/network/interfaces.d/*; do
    [ ! -f "$file" ] || echo "$file"
  done
}
ifupdown_has_it() {
  have ifup && have awk || return 1
  interfaces | while read -r file; do
    awk -v dev="$dev" '$1 == "iface" && $2 == dev { found = 1 } END { exit !found }' "$file" && echo yes
  done | grep -q yes
}
# Everything but what is said of our card.
without_card() {
  awk -v dev="$dev" '
    $1 == "auto" || $1 ~ /^allow-/ || $1 ~ /^no-/ {
      skip = 0; line = $1
      for (i = 2; i <= NF; i++) if ($i != dev) line = line " " $i
      if (line != $1) print line
      next
    }
    $1 == "iface" || $1 == "mapping" || $1 == "rename" || $1 ~ /^source/ { skip = $1 == "iface" && $2 == dev }
    !skip { print }' "$1"
}
stanzas() { # inet|inet6 GATEWAYS ADDRESS...: one for each address, gateways with the first
  family=$1 gateways=$2
  shift 2
  for each; do
    printf '\niface %s %s static\n    address %s\n' "$dev" "$family" "$each"
    metric=1024
    for gateway in $gateways; do
      if [ $metric = 1024 ]; then
        echo "    gateway $gateway"
      else
        echo "    up ip route add default via $gateway dev $dev metric $metric || true"
      fi
      metric=$((metric + 1))
    done
    gateways=
  done
}
use_ifupdown() {
  ifdown --force "$dev" >/dev/null 2>&1 || ifdown "$dev" >/dev/null 2>&1
  ip addr flush dev "$dev" scope global >/dev/null 2>&1
  interfaces | while read -r file; do
    cp -p "$file" "$file.understudy" && without_card "$file" >"$file.understudy" && mv "$file.understudy" "$file" ||
      fail "$file cannot be changed"
  done || exit 1
  {
    printf '\n# Written by Understudy after a failover.\nauto %s\n' "$dev"
    if [ $dhcp = yes ]; then printf 'iface %s inet dhcp\n' "$dev"; fi
    stanzas inet "$gateway4" $address4
    stanzas inet6 "$gateway6" $address6
    if [ -n "$dns" ]; then echo "    dns-nameservers$dns"; fi
  } >>"$root/etc/network/interfaces" || fail "$root/etc/network/interfaces cannot be changed"
  run ifup "$dev"
  have resolvconf || write_resolv_conf
}

# --- nothing: until the guest is restarted ---

write_resolv_conf() {
  [ -n "$dns" ] || return 0
  file=$root/etc/resolv.conf
  if [ -L "$file" ] && have resolvectl; then
    run resolvectl dns "$dev" $dns
    return
  fi
  {
    grep -v '^[[:space:]]*nameserver' "$file" 2>/dev/null
    for each in $dns; do echo "nameserver $each"; done
  } >"$file.understudy" && cat "$file.understudy" >"$file" || fail "$file cannot be written"
  rm -f "$file.understudy"
}
default_routes() { # 4|6 GATEWAY...: the first is the guest's, whatever was its default before
  version=$1 metric=1024
  shift
  for gateway; do
    if [ $metric = 1024 ]; then
      run ip -"$version" route replace default via "$gateway" dev "$dev"
    else
      run ip -"$version" route replace default via "$gateway" dev "$dev" metric $metric
    fi
    metric=$((metric + 1))
  done
}
use_iproute() {
  have ip || fail "this guest has neither NetworkManager, systemd-networkd nor ifupdown for $dev, nor the program ip"
  run ip link set dev "$dev" up
  run ip -4 addr flush dev "$dev" scope global
  [ -z "$address6" ] || run ip -6 addr flush dev "$dev" scope global
  for each in $address4 $address6; do run ip addr add "$each" dev "$dev"; done
  default_routes 4 $gateway4
  default_routes 6 $gateway6
  if [ $dhcp = yes ]; then
    if have udhcpc; then
      run udhcpc -i "$dev" -n -q
    elif have dhclient; then
      run dhclient -1 "$dev"
    else
      fail "this guest has no DHCP client for $dev"
    fi
  fi
  write_resolv_conf
}

# --- all ---

has_addresses() {
  shown=$(ip addr show dev "$dev" 2>/dev/null)
  for each in $address4 $address6; do
    case $shown in
      *" $each "*) ;;
      *) return 1 ;;
    esac
  done
}
main() {
  [ $# -gt 1 ] || fail "no settings"
  read_arguments "$@"
  find_card
  if network_manager_has_it; then
    by=NetworkManager
    use_network_manager
  elif networkd_has_it; then
    by=systemd-networkd
    use_networkd
  elif starting; then
    later
  elif ifupdown_has_it; then
    by=ifupdown
    use_ifupdown
  else
    by=iproute2
    use_iproute
  fi
  tries=0
  until has_addresses; do
    tries=$((tries + 1))
    [ $tries -lt 10 ] || fail "$by took the settings of $dev, but the card does not have its addresses"
    sleep 1
  done
  sync # nobody gives them again, even when the guest loses power in the next second
  echo "$by $dev"
}
# From here on standard input is not the script any more.
main "$@" </dev/null
