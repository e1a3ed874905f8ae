#!/usr/bin/python3
"""Two (or more) whole libvirt hosts on one machine, for tests. Needs root; no KVM, no systemd.

    with Lab() as lab:                        # hosts A and B, joined by a network
        a = lab.host("A")
        a.define_guest("vm1", start=True)
        a.console("vm1").wait_for(r"^READY")

A host is a set of namespaces (mount, pid, net, uts, ipc) around a process 1 (host_init.py) that lives as long as the
lab process: when that dies, however it dies, the kernel ends every process of the hosts, and mounts and networks go
with them. What can be left is a folder under LABS; the next Lab, or `hosts.py clean`, removes it.
"""
import argparse
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid as uuids
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import guests  # noqa: E402
import host_files  # noqa: E402
from host_files import NETWORK, OWN, LabError  # noqa: E402

LABS = Path(os.environ.get("UNDERSTUDY_LABS", "/var/tmp/understudy-labs"))


class HostProcess(subprocess.Popen):
    """A process inside a host. Its signals reach the inner process, not the nsenter(1) around it."""

    def __init__(self, host, argv, env=None, cwd=None, **kw):
        if not host.running:
            raise LabError(f"{host.name} is off")
        wait_read, wait_write = os.pipe()
        # The shell tells us that nsenter has forked; from then on its only child is the process.
        shell = 'fd=$0; echo >&$fd; exec {fd}>&-; cd "$1" && shift && exec "$@"'
        prefix = ["nsenter", f"--target={host.init_pid}", "--mount", "--pid", "--net", "--uts", "--ipc", "--",
                  "setpriv", "--pdeathsig", "KILL", "--",
                  "bash", "--norc", "-c", shell, str(wait_write), str(cwd or "/")]
        kw["pass_fds"] = (*kw.pop("pass_fds", ()), wait_write)
        try:
            super().__init__([*prefix, *map(str, argv)], env={**os.environ, **(env or {})}, **kw)
            os.close(wait_write)
            wait_write = None
            os.read(wait_read, 1)  # one byte, or the end when nsenter failed
        finally:
            os.close(wait_read)
            if wait_write is not None:
                os.close(wait_write)
        self.inner_pid = int((_children(self.pid) or [self.pid])[0])

    def send_signal(self, sig):
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.inner_pid, sig)


def _children(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


class Host:
    """One libvirt host of a Lab. Paths in arguments are as the host sees them, unless said otherwise."""

    def __init__(self, lab, name, number):
        self.lab, self.name, self.number = lab, name, number
        self.root = lab.base / name
        self.address = f"{NETWORK}.{number}"
        self.hostname = f"host-{name.lower()}"
        self.libvirt_uuid = str(uuids.uuid5(uuids.NAMESPACE_DNS, self.hostname))
        self.init_pid = None
        self._outer = None
        self._boots = 0
        self._network = False
        self.small = set()  # folders that are file systems of their own inside
        self.uri = f"qemu+unix:///system?socket={self.path('/run/libvirt/libvirt-sock')}"

    # ---- files ----

    def path(self, inside):
        """Where a file of the host (as the host names it) is for the lab process."""
        inside = os.path.normpath(str(inside))
        if any(inside == folder or inside.startswith(folder + "/") for folder in self.small):
            return Path(f"/proc/{self.init_pid}/root{inside}")
        for folder in [*OWN, "/run"]:
            if inside == folder or inside.startswith(folder + "/"):
                return Path(str(self.root) + inside)
        for folder in ("/etc", "/var/lib"):
            upper = Path(f"{self.root}/overlay{folder}/upper{inside[len(folder):]}")
            if inside.startswith(folder + "/") and upper.exists():
                return upper
        return Path(inside)

    def mount_small(self, folder, size):
        """A file system of its own, of that size ("192m"), at a folder that is made."""
        self.run(["mkdir", "-p", "-m", "0711", folder])
        self.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "small", folder])
        self.small.add(folder)

    def unmount_small(self, folder):
        self.run(["umount", "--lazy", folder])
        self.small.discard(folder)

    # ---- power ----

    def boot(self):
        """Starts the host and its libvirtd; files are those it had before."""
        if self._outer:
            raise LabError(f"{self.name} is running")
        host_files.create_files(self)
        shutil.rmtree(self.root / "run")  # as after a real reboot
        for folder in ("run/libvirt", "run/understudy", "run/lock"):
            (self.root / folder).mkdir(parents=True)
        ready_read, ready_write = os.pipe()
        lifeline = os.pidfd_open(os.getpid())
        setup = {"root": str(self.root), "own": OWN, "hide": str(self.lab.hide), "hostname": self.hostname,
                 "ready_fd": ready_write, "lifeline_fd": lifeline}
        try:
            with open(self.root / "init.log", "ab") as log:
                self._outer = subprocess.Popen(
                    ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
                     "--uts", "--ipc", "--net", "/usr/bin/python3", Path(__file__).with_name("host_init.py"),
                     json.dumps(setup)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(ready_write, lifeline),
                    start_new_session=True)
        finally:
            os.close(ready_write)
            os.close(lifeline)
        try:
            if not select.select([ready_read], [], [], 30)[0] or os.read(ready_read, 1) != b"1":
                self.power_cut()
                raise LabError(f"host {self.name} did not come up:\n{(self.root / 'init.log').read_text()}")
        finally:
            os.close(ready_read)
        self.init_pid = int(_children(self._outer.pid)[0])
        self._boots += 1
        self.lab._plug_in(self)
        self.start_libvirtd()

    def power_cut(self):
        """Every process of the host dies at once; nothing is flushed by anybody. The files stay."""
        if not self._outer:
            return
        for pid in _children(self._outer.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)  # process 1: the kernel kills the rest before it lets go of it
        try:
            self._outer.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._outer.kill()
            self._outer.wait()
        self._outer = self.init_pid = None

    @property
    def running(self):
        return self._outer is not None

    # ---- processes ----

    def popen(self, argv, **kw):
        """subprocess.Popen inside the host (env= adds to ours; cwd= is the host's, default /)."""
        return HostProcess(self, argv, **kw)

    def run(self, argv, check=True, timeout=60, input=None, **kw):
        """subprocess.run inside the host, with text output captured. A failure's message carries the output."""
        kw = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **kw}
        with self.popen(argv, stdin=subprocess.DEVNULL if input is None else subprocess.PIPE, **kw) as process:
            try:
                out, err = process.communicate(input, timeout=timeout)
            except BaseException:
                process.kill()
                raise
        if check and process.returncode:
            command = " ".join(map(str, argv))
            raise LabError(f"{self.name}: {command} -> {process.returncode}\n{out or ''}{err or ''}")
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    # ---- libvirt ----

    def start_libvirtd(self):
        # Debian's default hands the guests' output to virtlogd, which systemd would start on demand.
        if self.lab.flavour == "shipped" and not self._daemon_pid("/run/virtlogd.pid"):
            self.run(["virtlogd", "--daemon"])
        self.run(["libvirtd", "--daemon"])
        self.virsh("version")  # answers once the drivers are up

    def kill_libvirtd(self, sig=signal.SIGTERM, timeout=30):
        """Sends the signal and waits for the end. Guests run on."""
        pid = self._daemon_pid("/run/libvirtd.pid")
        if not pid:
            raise LabError(f"{self.name}: libvirtd does not run")
        end = os.pidfd_open(pid)
        try:
            os.kill(pid, sig)
            if not select.select([end], [], [], timeout)[0]:
                raise LabError(f"{self.name}: libvirtd lives on after signal {sig}")
        finally:
            os.close(end)

    def libvirtd_pid(self):
        """As the lab process sees it; None when it does not run."""
        return self._daemon_pid("/run/libvirtd.pid")

    def _daemon_pid(self, pid_file):
        try:
            return self.outer_pid(int(self.path(pid_file).read_text()))
        except (FileNotFoundError, ValueError):
            return None

    def outer_pid(self, inner):
        """The pid, for the lab process, of the host's process `inner`; None when there is none."""
        space = os.readlink(f"/proc/{self.init_pid}/ns/pid")
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                if os.readlink(status.with_name("ns") / "pid") == space:
                    facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
                    if int(facts["NSpid"].split()[-1]) == inner and "Z" not in facts["State"]:
                        return int(status.parent.name)
        return None

    def virsh(self, *args, check=True, timeout=90, input=None):
        """virsh inside the host; returns its output. For XML: virsh("define", "/dev/stdin", input=xml)."""
        done = self.run(["virsh", "--quiet", "--connect", "qemu:///system", *args], check, timeout, input)
        return done.stdout.strip() if check else done

    def ensure_network(self):
        """Defines and starts the isolated network `default`. No DHCP, hence no dnsmasq: guests take vmip=."""
        if not self._network:
            self.virsh("net-define", "/dev/stdin", input="""<network>
                <name>default</name><bridge name='virbr0' stp='off' delay='0'/><dns enable='no'/>
                <ip address='192.168.122.1' netmask='255.255.255.0'/></network>""")
            self.virsh("net-start", "default")
            self.virsh("net-autostart", "default")
            self._network = True

    # ---- guests ----

    def create_disk(self, path, size, options=""):
        self.run(["qemu-img", "create", "-q", "-f", "qcow2", *(["-o", options] if options else []), path, size])
        return path

    def define_guest(self, name, disks=("512M", "64M"), uuid=None, memory=128, cmdline="", network=False, mac=None,
                     start=False, extra_devices="", agent=True):
        """Creates the disks, defines the domain, returns its uuid.

        disks: for vda, vdb, ... a size ("64M": a new qcow2 in the images folder) or the path of an existing image.
        cmdline: words for the guest's init, as "us=20000 churn=mix vmip=192.168.122.5/24".
        """
        uuid, parts = str(uuid or uuids.uuid4()), []
        for letter, disk in zip("abcdefgh", disks):
            path = disk if disk.startswith("/") else self.create_disk(f"{guests.IMAGES}/{name}-vd{letter}.qcow2", disk)
            parts.append((f"vd{letter}", path, guests.image_format(self.path(path))))
        if network:
            self.ensure_network()
        xml = guests.domain_xml(name, parts, uuid, memory, cmdline, "default" if network else None, mac, extra_devices,
                                agent)
        self.virsh("define", "/dev/stdin", input=xml)
        if start:
            self.virsh("start", name)
        return uuid

    def disk_paths(self, name):
        """{target: path} of a guest's disks, as the host sees them."""
        lines = self.virsh("domblklist", name, "--details").splitlines()
        return {w[2]: w[3] for w in (line.split() for line in lines) if len(w) == 4 and w[1] == "disk"}

    def console(self, name, from_start=True):
        """A follower of the guest's serial console (see guests.Console)."""
        return guests.Console(self.path(f"{guests.CONSOLES}/{name}.console"), from_start)

    def wait_agent(self, name, timeout=60):
        guests.wait_agent(self.uri, name, timeout)

    def agent(self, name, command, timeout=60, **arguments):
        """A guest agent command, e.g. agent("vm1", "guest-ping"); waits for the agent; returns what it returned."""
        call = ("qemu-agent-command", name, guests.agent_command(command, **arguments), "--timeout", str(timeout))
        done = self.virsh(*call, check=False, timeout=timeout + 10)
        if done.returncode and "agent is not connected" in done.stderr:
            self.wait_agent(name, timeout)
            return json.loads(self.virsh(*call, timeout=timeout + 10))["return"]
        if done.returncode:
            raise LabError(f"{self.name}: {command}: {done.stderr.strip()}")
        return json.loads(done.stdout)["return"]

    def guest_exec(self, name, *argv):
        """Starts a program in the guest and returns its pid there. Its end is not waited for."""
        return self.agent(name, "guest-exec", path=argv[0], arg=list(argv[1:]))["pid"]

    def vmctl(self, name, *words, timeout=120):
        """Gives the guest's writer an order, e.g. vmctl("vm1", "trim", 64), and waits until it is on the disks."""
        console = self.console(name, from_start=False)
        order = " ".join(map(str, words))
        self.guest_exec(name, "/bin/vmctl", *map(str, words))
        console.wait_for(rf"^DONE {order}\r?$", timeout)


class Lab:
    """A set of hosts on one network. base: where their files go, kept at the end (default: a new folder, removed)."""

    def __init__(self, base=None, names=("A", "B"), flavour="lab", network=False):
        if flavour not in ("lab", "shipped"):
            raise LabError(f"no flavour {flavour!r}")
        if os.geteuid():
            raise LabError("the test lab needs root")
        self.names, self.flavour, self.network = tuple(names), flavour, network
        self.keep = base is not None
        self.guest = guests.built_guest()
        with _one_at_a_time():
            clean()
            self.base = Path(base).resolve() if base else Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=LABS))
            self.base.mkdir(mode=0o755, parents=True, exist_ok=True)
            os.chmod(self.base, 0o755)
            self._lock = _try_lock(self.base)
        self.hide = self.base if base else LABS
        if self._lock is None:
            raise LabError(f"{self.base} is used by another lab")
        self._hosts = {name: Host(self, name, number) for number, name in enumerate(self.names, 1)}
        self._switch = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def host(self, name):
        return self._hosts[name]

    @property
    def hosts(self):
        return list(self._hosts.values())

    def start(self):
        try:
            self._make_switch()
            for host in self.hosts:
                cached = host_files.give_capabilities(host)
                host.boot()
                if not cached:
                    host_files.keep_capabilities(host)
                if self.network:
                    host.ensure_network()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        for host in self.hosts:
            host.power_cut()
        if self._switch is not None:
            os.close(self._switch)
            self._switch = None
        if not self.keep:
            shutil.rmtree(self.base, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # ---- the network: a bridge in a namespace of its own that only our descriptor holds ----

    def _make_switch(self):
        holder = ["unshare", "--net", "sh", "-c", "echo; read -r end"]
        with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdout.read(1)
            self._switch = os.open(f"/proc/{holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            holder.stdin.close()
        self._switch_ip("link add br0 type bridge", "link set br0 up")

    def _switch_ip(self, *lines, tool="ip"):
        subprocess.run(["nsenter", f"--net=/proc/self/fd/{self._switch}", tool, "-batch", "-"], input="\n".join(lines),
                       text=True, check=True, pass_fds=[self._switch])

    def _port(self, host):
        # A new name per boot: the kernel removes a dead host's port in its own time.
        return f"p{host.number}-{host._boots}"

    def _plug_in(self, host):
        port = self._port(host)
        self._switch_ip(f"link add {port} type veth peer name eth0 netns {host.init_pid}",
                        f"link set {port} master br0 up")
        host.run(["ip", "-batch", "-"],
                 input=f"link set lo up\nlink set eth0 up\naddress add {host.address}/24 dev eth0\n")

    def set_link(self, name, up):
        """Pulls (False) or plugs in (True) a host's network cable."""
        self._switch_ip(f"link set {self._port(self.host(name))} {'up' if up else 'down'}")

    def shape(self, name, rate=None):
        """Limits what a host receives, e.g. "16mbit"; None lifts the limit."""
        port = self._port(self.host(name))
        if rate:
            self._switch_ip(f"qdisc replace dev {port} root tbf rate {rate} burst 256kb latency 100ms", tool="tc")
        else:
            self._switch_ip(f"qdisc delete dev {port} root", tool="tc")

@contextlib.contextmanager
def _one_at_a_time():
    """Labs that begin together do not take each other's new folder for a leftover."""
    LABS.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(f"{LABS}.lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _try_lock(base):
    """A lock that lives as long as the lab process; None when somebody has it."""
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd
    except BlockingIOError:
        os.close(fd)
        return None


def clean():
    """Removes the folders of labs that are gone. Returns how many."""
    removed = 0
    for base in LABS.iterdir() if LABS.is_dir() else []:
        with contextlib.suppress(FileNotFoundError):
            lock = _try_lock(base)
            if lock is not None:
                shutil.rmtree(base, ignore_errors=True)
                os.close(lock)
                removed += 1
    return removed


def main():
    parser = argparse.ArgumentParser(description="Two libvirt hosts on this machine, for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring the hosts up until standard input ends, and print how to reach them")
    up.add_argument("--flavour", default="lab", choices=("lab", "shipped"))
    up.add_argument("--base", help="keep the hosts' files here (default: a new folder, removed at the end)")
    up.add_argument("--names", default="A,B")
    up.add_argument("--guest", metavar="NAME", help="define and start a guest on the first host")
    up.add_argument("--cmdline", default="", help="words for that guest's kernel command line")
    commands.add_parser("clean", help="remove what killed labs left")
    verify = commands.add_parser("verify", help="check a pair of disk images; prints the VERIFY line")
    verify.add_argument("disk1")
    verify.add_argument("disk2")
    args = parser.parse_args()
    if args.command == "clean":
        print(f"{clean()} removed")
    elif args.command == "verify":
        line = guests.verify_images(args.disk1, args.disk2)
        print(line)
        return 0 if line.startswith("VERIFY OK") else 1
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        lab = Lab(base=args.base, names=args.names.split(","), flavour=args.flavour)
        with lab, contextlib.suppress(KeyboardInterrupt):
            for host in lab.hosts:
                print(f"{host.name}: {host.address}  virsh -c '{host.uri}'  nsenter -t {host.init_pid} -a --")
            if args.guest:
                lab.hosts[0].define_guest(args.guest, cmdline=args.cmdline, start=True)
            print("up; ends with standard input", flush=True)
            sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
