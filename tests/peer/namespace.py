"""A network namespace of the test's own: the tap device, its addresses, the kernel's knobs."""
import os
import shutil
import subprocess
import sys

from kernel_side import KERNEL_V4, KERNEL_V6

INSIDE = "TAILRACE_PEER_INSIDE"
DEVICE = "trpeer"


def missing():
    """Why there can be none here, or None."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    for program in ("unshare", "ip", "tshark"):
        if shutil.which(program) is None:
            return f"there is no {program}; tools/dev setup test installs it"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    return None


def enter():
    """Starts the program anew in a namespace, which ends with it."""
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def command(line):
    subprocess.run(line.split(), check=True, stdout=subprocess.DEVNULL)


def path_of(knob):
    return "/proc/sys/" + knob.replace(".", "/", 2)


def read_knob(knob):
    with open(path_of(knob), encoding="ascii") as file:
        return file.read().strip()


def set_knob(knob, value):
    with open(path_of(knob), "w", encoding="ascii") as file:
        file.write(str(value))


def make_device():
    for line in (f"ip tuntap add dev {DEVICE} mode tap", "ip link set lo up"):
        command(line)
    # What a connection learnt must not be another's.
    set_knob("net.ipv4.tcp_no_metrics_save", 1)


class Place:
    """The device and the kernel, set as a cell wants them; as before at the end.

    `knobs`: of /proc/sys. `route`, `route6`: options of the routes to our stack. `mtu`: of the
    device. `ports`: of connections that the kernel makes."""

    def __init__(self, knobs=None, route="", route6=None, mtu=1500):
        self.knobs = dict(knobs or {})
        self.route = route
        self.route6 = route if route6 is None else route6
        self.mtu = mtu
        self.before = {}

    def __enter__(self):
        for knob, value in self.knobs.items():
            self.before[knob] = read_knob(knob)
            set_knob(knob, value)
        for line in (f"ip link set {DEVICE} mtu {self.mtu} up",
                     f"ip address add {KERNEL_V4}/24 dev {DEVICE}",
                     f"ip address add {KERNEL_V6}/64 dev {DEVICE} nodad",
                     f"ip route replace 10.79.0.0/24 dev {DEVICE} src {KERNEL_V4} {self.route}",
                     f"ip -6 route replace fd79::/64 dev {DEVICE} {self.route6}"):
            command(line)
        return self

    def __exit__(self, *_):
        command(f"ip address flush dev {DEVICE}")
        command(f"ip link set {DEVICE} down")
        for knob, value in self.before.items():
            set_knob(knob, value)
