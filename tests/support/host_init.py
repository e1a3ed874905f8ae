#!/usr/bin/python3
"""Process 1 of one lab host: makes the host's view of the file system, then reaps and waits.

Started by hosts.py through unshare(1), in new mount, pid, net, uts and ipc namespaces. It ends when the lab process
ends (a pidfd becomes readable) or when it is killed; the kernel then kills every process of the host, daemons and
QEMUs too, and the mounts and the network of the host vanish with them.

What the host sees: /run, /dev and /sys of its own; /etc and /var/lib are overlays over the machine's, with the
"own" folders (hosts.OWN) bound over them; the lab's base folder, where the other hosts keep theirs, is hidden.
"""
import json
import os
import select
import signal
import socket
import subprocess
import sys

# (name, major, minor). No kvm: tests use TCG, and a /dev/kvm that only root may open makes libvirt probe QEMU again
# and again (design notes, trap 1). Not having the node at all is the cure, and it touches nobody else's.
DEVICES = [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
           ("fuse", 10, 229), ("net/tun", 10, 200), ("loop-control", 10, 237)]


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def unmount_all_below(path):
    subprocess.run(["umount", "--recursive", "--lazy", path], check=True)


def make_dev():
    unmount_all_below("/dev")  # not only covered: libvirt's per-guest namespaces read the mount table
    mount("-t", "tmpfs", "-o", "mode=755,nosuid", "dev", "/dev")
    for folder in ("net", "pts", "shm"):
        os.mkdir("/dev/" + folder)
    old_mask = os.umask(0)
    for name, major, minor in DEVICES:
        os.mknod("/dev/" + name, 0o020666, os.makedev(major, minor))
    os.umask(old_mask)
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620,gid=5", "devpts", "/dev/pts")
    mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "shm", "/dev/shm")
    os.symlink("pts/ptmx", "/dev/ptmx")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink("/proc/self/fd" + target, "/dev/" + name)


def make_view(setup):
    root = setup["root"]
    # A fresh sysfs shows this network namespace, and has no cgroups below it: without systemd the hosts would share
    # one machine slice. libvirt, finding none, does without.
    unmount_all_below("/sys")
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--bind", root + "/run", "/run")
    for folder in ("/etc", "/var/lib"):
        layers = root + "/overlay" + folder
        os.makedirs(layers + "/upper", exist_ok=True)
        os.makedirs(layers + "/work", exist_ok=True)
        options = f"lowerdir={folder},upperdir={layers}/upper,workdir={layers}/work"
        mount("-t", "overlay", "-o", options, "overlay", folder)
    for folder in setup["own"]:
        os.makedirs(folder, exist_ok=True)
        mount("--bind", root + folder, folder)
    mount("-t", "tmpfs", "-o", "mode=755,size=4k,ro", "hidden", setup["hide"])
    make_dev()


def main():
    setup = json.loads(sys.argv[1])
    os.chdir("/")
    # Ctrl-C belongs to the lab process; and Python must wake for dead children, to reap them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    make_view(setup)
    socket.sethostname(setup["hostname"])
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    os.write(setup["ready_fd"], b"1")
    os.close(setup["ready_fd"])

    poll = select.poll()
    poll.register(setup["lifeline_fd"], select.POLLIN)  # a pidfd of the lab process
    poll.register(wake_read, select.POLLIN)
    while True:
        if any(fd == setup["lifeline_fd"] for fd, _ in poll.poll()):
            os._exit(0)
        os.read(wake_read, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    main()
