"""The network of the brokers of a run: the kernel's sockets on 127.0.0.1, or Tailrace's own TCP/IP
on tap devices or through DPDK on veth pairs, each broker with a device and an address of its own,
in a network namespace that ends with the run. Clients never notice."""
import os
import shutil
import subprocess
import sys

from harness import ROOT

sys.path.append(os.path.join(ROOT, "tools"))
# pylint: disable=wrong-import-position
import dpdk_network  # noqa: E402
import tap_network  # noqa: E402

INSIDE = "TAILRACE_E2E_INSIDE"
# These are about the kernel's ports and about profiles that are refused, or have a network of their
# own.
KERNEL_ONLY = ["process", "dev", "vhost"]
# These are about several cores that do their own TCP/IP.
OWN_ONLY = ["steering"]


class KernelNetwork:
    name = "kernel"

    def host_of(self, _port):
        return "127.0.0.1"

    def profile(self, _port, path):
        return path


class OwnNetwork:
    """One network for each broker, told apart by the broker's port."""

    def __init__(self):
        self.numbers = {}   # of the brokers, by port

    def host_of(self, port):
        return f"10.78.{self.number_of(port)}.1"

    def number_of(self, port):
        if port not in self.numbers:
            number = len(self.numbers) + 1
            self.numbers[port] = number
            self.make(number, f"10.78.{number}.2/24")
        return self.numbers[port]

    def profile(self, port, path):
        number = self.number_of(port)
        return self.write_profile(path, f"{path}.{self.name}", number, f"10.78.{number}.1/24")


class TapNetwork(OwnNetwork):
    name = "tap"
    missing = staticmethod(tap_network.missing)

    def make(self, number, address):
        tap_network.make(f"tr{number}", address)

    def write_profile(self, source, target, number, addresses):
        return tap_network.write_profile(source, target, f"tr{number}", addresses)


class DpdkNetwork(OwnNetwork):
    name = "dpdk"
    missing = staticmethod(dpdk_network.missing)

    def make(self, number, address):
        dpdk_network.make(f"tr{number}d", f"tr{number}", [address])

    def write_profile(self, source, target, number, addresses):
        return dpdk_network.write_profile(source, target, f"tr{number}d", addresses, False)


OWN = {network.name: network for network in [TapNetwork, DpdkNetwork]}
current = KernelNetwork()


def missing(name):
    """Why there can be none of this name here, or None."""
    if name == "kernel":
        return None
    if shutil.which("unshare") is None:
        return "there is no unshare"
    return OWN[name].missing()


def leaves_out(name, module):
    """Whether the cases of the module have no meaning there."""
    return module in (OWN_ONLY if name == "kernel" else KERNEL_ONLY)


def use(name):
    """Of the rest of the run. With one of our own, the first time, starts the program anew."""
    global current  # pylint: disable=global-statement
    if name == "kernel":
        return
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run("ip link set lo up".split(), check=True)
    current = OWN[name]()
