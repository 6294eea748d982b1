"""The network of the brokers of a run: the kernel's sockets on 127.0.0.1, or Tailrace's own TCP/IP
on tap devices, each broker with a device and an address of its own, in a network namespace that
ends with the run. Clients never notice."""
import os
import shutil
import subprocess
import sys

from harness import ROOT

sys.path.append(os.path.join(ROOT, "tools"))
# pylint: disable=wrong-import-position
import tap_network  # noqa: E402

INSIDE = "TAILRACE_E2E_INSIDE"
# These are about the kernel's ports and about profiles that are refused.
KERNEL_ONLY = ["process", "dev"]
# These are about several cores that do their own TCP/IP.
TAP_ONLY = ["steering"]


class KernelNetwork:
    name = "kernel"

    def host_of(self, _port):
        return "127.0.0.1"

    def profile(self, _port, path):
        return path


class TapNetwork:
    name = "tap"

    def __init__(self):
        self.numbers = {}   # of the brokers, by port

    def host_of(self, port):
        return f"10.78.{self.number_of(port)}.1"

    def number_of(self, port):
        if port not in self.numbers:
            number = len(self.numbers) + 1
            self.numbers[port] = number
            tap_network.make(f"tr{number}", f"10.78.{number}.2/24")
        return self.numbers[port]

    def profile(self, port, path):
        number = self.number_of(port)
        return tap_network.write_profile(path, f"{path}.tap", f"tr{number}",
                                         f"10.78.{number}.1/24")


current = KernelNetwork()


def missing_for_tap():
    """Why there can be none here, or None."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    return tap_network.missing()


def use(name):
    """Of the rest of the run. The first time with "tap", starts the program anew in a namespace."""
    global current  # pylint: disable=global-statement
    if name == "kernel":
        return
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run("ip link set lo up".split(), check=True)
    current = TapNetwork()
