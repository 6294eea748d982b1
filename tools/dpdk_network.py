"""A port for a broker with DPDK (network.transport = "dpdk") on a machine that has none to spare:
one end of a veth pair, on which DPDK's AF_XDP driver sits, while the other is the kernel's."""
import array
import fcntl
import glob
import os
import shutil
import socket
import struct
import subprocess

import network_claim
import tap_network

# linux/sockios.h, linux/ethtool.h
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17

HUGE_PAGES = "/proc/sys/vm/nr_hugepages"
# Of 2 MiB: more than a profile for a laptop needs. A larger one is refused, with the number.
HUGE_PAGES_MORE = 256


def missing():
    """Why there can be none here, with what to do, or None."""
    if os.geteuid() != 0:
        return "DPDK on a veth pair needs root: sudo tools/dev run --net dpdk"
    if shutil.which("ip") is None:
        return "there is no ip: apt-get install iproute2"
    return None


def run(command):
    subprocess.run(command.split(), check=True)


def complete_checksums(interface):
    """Nothing on a veth pair completes the checksums that the kernel leaves to a device."""
    with socket.socket() as control:
        value = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
        request = struct.pack("16sP8x", interface.encode(), value.buffer_info()[0])
        fcntl.ioctl(control, SIOCETHTOOL, request)


def make(port, device, kernel_addresses, namespace=None):
    """`port` is DPDK's end, in `namespace` if one is named; `device` the kernel's."""
    run(f"ip link add {device} type veth peer name {port}")
    for address in kernel_addresses:
        run(f"ip address add {address} dev {device}" + (" nodad" if ":" in address else ""))
    complete_checksums(device)
    place = ""
    if namespace is not None:
        run(f"ip link set {port} netns {namespace}")
        place = f"-n {namespace} "
    # The kernel says nothing of its own on the node's end.
    run(f"ip {place}link set {port} addrgenmode none")
    run(f"ip {place}link set {port} up")
    run(f"ip link set {device} up")


def clear_namespace(name, port):
    """Removes one that a killed run has left behind. Why it is not ours to remove, or None: there
    is none now."""
    found = subprocess.run(f"ip netns pids {name}".split(), capture_output=True, text=True,
                           check=False)
    if found.returncode != 0:
        return None
    if found.stdout.strip():
        return (f"the namespace {name} is in use by process {found.stdout.split()[0]}: stop "
                "that broker first")
    remove_namespace(name, port)
    return None


def make_namespace(name):
    run(f"ip netns add {name}")
    run(f"ip -n {name} link set lo up")


def remove_namespace(name, port):
    """With the veth pair that has the end `port` in it, at once: the kernel would take its time."""
    subprocess.run(f"ip -n {name} link delete {port}".split(), check=False, capture_output=True)
    subprocess.run(f"ip netns delete {name}".split(), check=False)


def remove_pair(port, device):
    """A pair of these names that was made, and not moved to its namespace any more."""
    shown = subprocess.run(f"ip -d link show dev {port}".split(), capture_output=True, text=True,
                           check=False)
    if shown.returncode == 0 and f"{port}@{device}:" in shown.stdout and " veth " in shown.stdout:
        run(f"ip link delete {port}")


class HugePages:
    """So many more while it is open; has none, when the kernel gives none. Those of a process that
    was killed are given back first: how many it took is in a file."""

    RECORD = os.path.join(network_claim.FOLDER, "tailrace-huge-pages-")

    def __init__(self, count=HUGE_PAGES_MORE):
        self.wanted = count

    def __enter__(self):
        self.give_back_left()
        self.path = f"{self.RECORD}{os.getpid()}"
        self.record = network_claim.open_locked(self.path)
        before = self.count()
        network_claim.write(self.record, {"before": before, "wanted": self.wanted})
        self.change(self.wanted)
        self.taken = self.count() - before
        network_claim.write(self.record, {"taken": self.taken})
        self.given = self.taken >= self.wanted
        if not self.given:
            self.change(-self.taken)
            self.taken = 0
            network_claim.write(self.record, {})
        return self

    def __exit__(self, *_):
        self.change(-self.taken)
        os.unlink(self.path)
        self.record.close()

    @classmethod
    def give_back_left(cls):
        for path in glob.glob(f"{cls.RECORD}*"):
            file = network_claim.open_locked(path)
            if file is None:
                continue
            left = network_claim.read(file)
            # Killed between the two lines: what came since is taken to be its own.
            since = cls.count() - left.get("before", cls.count())
            wanted = left.get("wanted", HUGE_PAGES_MORE)
            cls.change(-left.get("taken", min(max(since, 0), wanted)))
            os.unlink(path)
            file.close()

    @staticmethod
    def count():
        try:
            with open(HUGE_PAGES, encoding="ascii") as file:
                return int(file.read())
        except OSError:
            return 0  # A kernel without them.

    @classmethod
    def change(cls, difference):
        """Another run's stay."""
        if difference == 0:
            return
        try:
            with open(HUGE_PAGES, "w", encoding="ascii") as file:
                file.write(str(max(cls.count() + difference, 0)))
        except OSError:
            pass  # A container that may not.


def write_profile(source, target, port, addresses, huge_pages):
    """AF_XDP for one core. For several AF_PACKET, which divides the frames of an interface with one
    queue as well: by a hash that is not ours, so that every other frame is handed over."""
    cores = tap_network.cores_of(source)
    device = (f"net_af_xdp0,iface={port}" if cores == 1
              else f"net_af_packet0,iface={port},qpairs={cores}")
    return write_profile_for(source, target, device, addresses, huge_pages)


def write_profile_for(source, target, device, addresses, huge_pages):
    return tap_network.write_profile(source, target, device, addresses, transport="dpdk",
                                     flags={"huge_pages": huge_pages})
