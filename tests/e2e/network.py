"""The network of the brokers of a run: the kernel's sockets on 127.0.0.1, or Tailrace's own TCP/IP
on tap devices, each broker with a device and an address of its own, in a network namespace that
ends with the run. Clients never notice."""
import os
import re
import shutil
import subprocess
import sys

INSIDE = "TAILRACE_E2E_INSIDE"
# These are about the kernel's ports and about profiles that are refused.
KERNEL_ONLY = ["process", "dev"]


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
            device = f"tr{number}"
            # It stays when its broker is killed, as a cable does.
            for command in (f"ip tuntap add dev {device} mode tap",
                            f"ip address add 10.78.{number}.2/24 dev {device}",
                            f"ip link set {device} up"):
                subprocess.run(command.split(), check=True)
        return self.numbers[port]

    def profile(self, port, path):
        """A copy with the network's keys; it has one core, as this transport does."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        number = self.number_of(port)
        keys = (f'[network]\ntransport = "tap"\ndevice = "tr{number}"\n'
                f'addresses = "10.78.{number}.1/24"\n')
        text = re.sub(r"^cores = .*$", "cores = 1", text, flags=re.M)
        text = text.replace("[network]\n", keys) if "[network]" in text else text + keys
        copy = f"{path}.tap"
        with open(copy, "w", encoding="utf-8") as file:
            file.write(text)
        return copy


current = KernelNetwork()


def missing_for_tap():
    """Why there can be none here, or None."""
    if os.geteuid() != 0:
        return "needs root for a network namespace"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    for program in ("ip", "unshare"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    return None


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
