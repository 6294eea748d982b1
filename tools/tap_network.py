"""A tap device for a broker that does its own TCP/IP (network.transport = "tap"): the device, with
an address for the kernel's side of it, and a profile that names it."""
import errno
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess

# linux/if_tun.h
TUNSETIFF = 0x400454ca
IFF_TAP = 0x0002
IFF_MULTI_QUEUE = 0x0100
IFF_NO_PI = 0x1000


def missing():
    """Why there can be none here, with what to do, or None."""
    if os.geteuid() != 0:
        return "a tap device needs root: sudo tools/dev run --net tap"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun: modprobe tun, or give the container the device"
    if shutil.which("ip") is None:
        return "there is no ip: apt-get install iproute2"
    return None


def claim(device):
    """The name that a broker holds while it has a device with several queues, to which others could
    attach as well (src/io/tap/tap_device.cc)."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0tailrace-interface-{device}")
    except OSError as error:
        held.close()
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from error
    return held


def attach(tun, device):
    """As the only one, for a moment: whether it has one queue or several."""
    def attach_as(flags):
        request = struct.pack("16sH22x", device.encode(), flags)  # struct ifreq
        fcntl.ioctl(tun, TUNSETIFF, request)

    with claim(device):
        try:
            attach_as(IFF_TAP | IFF_NO_PI)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            attach_as(IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE)


def clear(device):
    """Removes a device that an earlier run left behind, as one that was killed does. Why it is not
    ours to remove, or None: there is none now."""
    shown = subprocess.run(f"ip link show dev {device}".split(), capture_output=True, check=False)
    if shown.returncode != 0:
        return None
    # Only a tap device that nobody holds can be held.
    with open("/dev/net/tun", "r+b", buffering=0) as tun:
        try:
            attach(tun, device)
        except OSError as error:
            return (f"the device {device} is there already and cannot be taken over "
                    f"({error.strerror}): stop the broker that uses it, or, if none does, "
                    f"ip link delete {device}")
    remove(device)
    return None


def make(device, kernel_address):
    """It stays when its broker is killed, as a cable does, until remove(), and serves any number
    of cores."""
    # Nobody else is there who could have it already.
    at_once = " nodad" if ":" in kernel_address else ""
    for command in (f"ip tuntap add dev {device} mode tap multi_queue",
                    f"ip address add {kernel_address} dev {device}{at_once}",
                    f"ip link set {device} up"):
        subprocess.run(command.split(), check=True)


def remove(device):
    subprocess.run(f"ip link delete {device}".split(), check=False)


def cores_of(profile):
    with open(profile, encoding="utf-8") as file:
        found = re.search(r"^[ \t]*cores[ \t]*=[ \t]*(\d+)", file.read(), flags=re.M)
    return 1 if found is None else int(found.group(1))


def write_profile(source, target, device, addresses, transport="tap", flags=None):
    """The same profile with the network's keys."""
    with open(source, encoding="utf-8") as file:
        text = file.read()
    keys = {"transport": f'"{transport}"', "device": f'"{device}"', "addresses": f'"{addresses}"'}
    keys.update({key: str(value).lower() for key, value in (flags or {}).items()})
    if not text.endswith("\n"):
        text += "\n"
    for key in keys:
        text = re.sub(rf"^[ \t]*{key}[ \t]*=.*\n", "", text, flags=re.M)
    header = re.compile(r"^[ \t]*\[[ \t]*network[ \t]*\][ \t]*(#.*)?\n", flags=re.M)
    if header.search(text) is None:
        text += "[network]\n"
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    text = header.sub(lambda found: found.group(0) + lines, text, count=1)
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)
    return target
