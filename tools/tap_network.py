"""A tap device for a broker that does its own TCP/IP (network.transport = "tap"): the device, with
an address for the kernel's side of it, and a profile that names it."""
import os
import re
import shutil
import subprocess


def missing():
    """Why there can be none here, with what to do, or None."""
    if os.geteuid() != 0:
        return "a tap device needs root: sudo tools/dev run --net tap"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun: modprobe tun, or give the container the device"
    if shutil.which("ip") is None:
        return "there is no ip: apt-get install iproute2"
    return None


def make(device, kernel_address):
    """It stays when its broker is killed, as a cable does, until remove()."""
    for command in (f"ip tuntap add dev {device} mode tap",
                    f"ip address add {kernel_address} dev {device}",
                    f"ip link set {device} up"):
        subprocess.run(command.split(), check=True)


def remove(device):
    subprocess.run(f"ip link delete {device}".split(), check=False)


def write_profile(source, target, device, addresses):
    """The same profile with the network's keys, and with one core, as this transport has."""
    with open(source, encoding="utf-8") as file:
        text = file.read()
    keys = {"transport": "tap", "device": device, "addresses": addresses}
    for key in keys:
        text = re.sub(rf"^{key} = .*\n", "", text, flags=re.M)
    lines = "[network]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    text = text.replace("[network]\n", lines) if "[network]\n" in text else text + lines
    text = re.sub(r"^cores = .*$", "cores = 1", text, flags=re.M)
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)
    return target
