#!/usr/bin/env python3
"""Starts a broker, shows with kcat that what is written comes back, and stays until Ctrl-C.

Called by `tools/dev run`, which has built the program. The demonstration writes text files that
every Debian has, line by line, once per codec, reads them back and compares SHA-256 sums. A
second start finds the records and only reads them.
"""
import argparse
import ctypes
import glob
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import dpdk_network
import network_claim
import tap_network

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
TEXT_PATTERNS = [
    "/usr/share/common-licenses/*",
    "/etc/services",
    "/usr/lib/*/perl-base/**/*.pm",
    "/usr/share/perl5/**/*.pm",
    "/usr/lib/python3*/*.py",
]
TEXT_BYTES_MAX = 4 << 20
READY_SECONDS_MAX = 600
STOP_SECONDS_MAX = 60

HOW_TO = """
Talk to it, until Ctrl-C here (address {address}):
  kcat    kcat -b {address} -L
          echo hello | kcat -b {address} -P -t mine
          kcat -b {address} -C -t mine -o beginning
  Python  pip install kafka-python        KafkaProducer(bootstrap_servers="{address}")
  Go      github.com/twmb/franz-go        kgo.NewClient(kgo.SeedBrokers("{address}"))
  Java    org.apache.kafka:kafka-clients  props.put("bootstrap.servers", "{address}")
  Look    {inside}{program} status --admin {admin}
          {inside}curl http://{admin}/metrics
"""


# The network of `--net tap` and `--net dpdk`: the broker's side, and the kernel's.
DEVICE = "tailrace0"
HOST = "10.78.0.1"
KERNEL = "10.78.0.2/24"
NAMESPACE = "tailrace"
DPDK_PORT = "tailrace1"
OF_TAP = f"""
The broker does its own TCP/IP on {DEVICE}: {HOST} is its address, the kernel has {KERNEL} there.
The device goes when the broker stops.
"""
OF_DPDK = f"""
The broker does its own TCP/IP through DPDK, on one end of a veth pair in the network namespace
"{NAMESPACE}": {HOST} is its address. The other end, {DEVICE}, is here; the kernel has {KERNEL}.
Namespace, pair and huge pages go when the broker stops. Its admin port is in the namespace, too.
"""

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None, use_errno=True)


def show(text):
    """A closed terminal takes no text; the broker must be ended all the same."""
    try:
        print(text, flush=True)
    except OSError:
        pass


def say(text):
    show(f"run: {text}")


def end_with_parent():
    """In the child: if we are killed, the broker stops as with SIGTERM, in order."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Stopped(Exception):
    pass


class Broker:
    """The process; its standard error goes on to ours, line by line."""

    def __init__(self, arguments):
        # A session of its own: Ctrl-C reaches only us, and we stop the broker in order.
        self.process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True,
                                        errors="replace", start_new_session=True,
                                        preexec_fn=end_with_parent)
        self.ready = threading.Event()
        self.was_ready = False
        self.port_taken = False
        self.reader = threading.Thread(target=self._forward, daemon=True)
        self.reader.start()

    def _forward(self):
        for line in self.process.stderr:
            try:
                sys.stderr.write(line)
            except OSError:
                pass  # The terminal was closed; a full pipe must not hold up the broker.
            if line.rstrip().endswith("tailrace: ready"):
                self.was_ready = True
                self.ready.set()
            if "Address already in use" in line or "; stop what does" in line:
                self.port_taken = True

    def wait_ready(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self.ready.wait(0.05):
            if self.process.poll() is not None:
                self.reader.join(2)
                hint = ("; another port: tools/dev run --listen 127.0.0.1:29092 --admin "
                        "127.0.0.1:29644" if self.port_taken else "")
                raise Stopped(f"the broker ended with code {self.process.returncode}{hint}")
            if time.monotonic() > deadline:
                raise Stopped(f"the broker is not ready after {READY_SECONDS_MAX} s")

    def stop(self):
        """Clean stop; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                say(f"the broker did not stop within {STOP_SECONDS_MAX} s")
                self.process.kill()
        self.reader.join(2)
        return self.process.wait()


def make_text(path):
    """Fills `path` with the lines of the system's text files, without empty ones (kcat skips
    those); returns line count and SHA-256."""
    lines = []
    size = 0
    files = 0
    for name in [n for p in TEXT_PATTERNS for n in sorted(glob.glob(p, recursive=True))]:
        if size > TEXT_BYTES_MAX or not os.path.isfile(name) or os.path.islink(name):
            continue
        with open(name, "rb") as file:
            content = [line for line in file.read().split(b"\n") if line.strip(b"\r\0 \t")]
        lines += content
        size += sum(len(line) + 1 for line in content)
        files += 1
    data = b"\n".join(lines) + b"\n"
    with open(path, "wb") as file:
        file.write(data)
    say(f"text: {len(lines)} lines, {len(data) / 1e6:.1f} MB from {files} files of this system")
    return len(lines), len(data), hashlib.sha256(data).hexdigest()


def kcat(address, *arguments, timeout=120, **options):
    return subprocess.run(["kcat", "-q", "-b", address, *arguments], timeout=timeout, check=True,
                          **options)


def end_offset(address, topic):
    """0 for a topic that is not there."""
    listed = subprocess.run(["kcat", "-q", "-b", address, "-Q", "-t", f"{topic}:0:-1"],
                            timeout=60, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        if "offset" in line:
            return max(0, int(line.rsplit(" ", 1)[-1]))
    return 0


def read_sum(address, topic, offset, count):
    digest = hashlib.sha256()
    got = kcat(address, "-C", "-t", topic, "-p", "0", "-o", str(offset), "-c", str(count), "-e",
               "-f", "%s\n", stdout=subprocess.PIPE)
    digest.update(got.stdout)
    return digest.hexdigest()


def demonstrate(address, text_path):
    """True when every topic gave back what was written."""
    count, size, wanted = make_text(text_path)
    good = True
    for codec in CODECS:
        topic = f"demo-{codec}"
        found = end_offset(address, topic)
        start = 0
        begun = time.monotonic()
        if found >= count:
            done = f"found {found} records of an earlier start"
        else:
            start = found
            kcat(address, "-P", "-t", topic, "-p", "0", "-z", codec, "-X", "acks=all", "-l",
                 text_path)
            seconds = time.monotonic() - begun
            done = f"wrote {count} records, {size / seconds / 1e6:.0f} MB/s, acks=all"
        same = read_sum(address, topic, start, count) == wanted
        good &= same
        say(f"{topic}: {done}; read back: SHA-256 {wanted[:16]}… "
            f"{'is the same' if same else 'DIFFERS'}")
    return good


def has_ipv6_loopback():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="tools/dev run",
        description="Builds, starts a broker, writes and reads real records, stays until Ctrl-C.")
    parser.add_argument("--program", default="build/release/src/tailrace",
                        help=argparse.SUPPRESS)
    parser.add_argument("--caller", default=os.getcwd(), help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--data", metavar="DIR",
                        help="data directory (default: data, beside this repository's README)")
    parser.add_argument("--listen", metavar="HOST:PORT", action="append", default=[],
                        help="may be given again (default 127.0.0.1:9092 and [::1]:9092)")
    parser.add_argument("--advertise", metavar="HOST:PORT", action="append", default=[],
                        help="what clients are told to use, one per --listen")
    parser.add_argument("--profile", metavar="FILE",
                        help="hardware profile (default hw-profiles/laptop.toml)")
    parser.add_argument("--admin", metavar="HOST:PORT", default="127.0.0.1:9644",
                        help="metrics and status (default %(default)s)")
    parser.add_argument("--net", choices=["kernel", "tap", "dpdk"], default="kernel",
                        help="whose TCP/IP: the kernel's, or our own on a tap device or through "
                        "DPDK (they need root)")
    parser.add_argument("--once", action="store_true", help="stop after the demonstration")
    arguments = parser.parse_args()
    # What the caller names is relative to where the caller stands; the defaults to the repository.
    for name, default in [("data", "data"), ("profile", "hw-profiles/laptop.toml")]:
        given = getattr(arguments, name)
        place = default if given is None else os.path.join(arguments.caller, given)
        setattr(arguments, name, place)
    if arguments.check:
        sys.exit(0)
    arguments.claim = None   # of the network of our own TCP/IP
    arguments.inside = []   # of what the broker is started with
    if not arguments.listen and arguments.net != "kernel":
        arguments.listen = [f"{HOST}:9092"]
    if not arguments.listen:
        arguments.listen = ["127.0.0.1:9092"]
        if has_ipv6_loopback():
            arguments.listen.append("[::1]:9092")
        else:
            say("no IPv6 loopback here: listening on 127.0.0.1 alone")
    return arguments


def clear_network(arguments):
    """What a run that was killed, of either kind, has left behind. Why it cannot be, or None."""
    claim = arguments.claim
    why_not = claim.wait_for_broker(say)
    if why_not is None and (claim.left.get("pair") or arguments.net == "dpdk"):
        why_not = dpdk_network.clear_namespace(NAMESPACE, DPDK_PORT)
    if why_not is None and claim.left.get("pair"):
        dpdk_network.HugePages.give_back_left()
        dpdk_network.remove_pair(DPDK_PORT, DEVICE)
    return why_not or tap_network.clear(DEVICE)


def on_tap(arguments, folder):
    arguments.claim.note(pair=False)
    try:
        tap_network.make(DEVICE, KERNEL)
        arguments.profile = tap_network.write_profile(
            arguments.profile, os.path.join(folder, "tap.toml"), DEVICE, f"{HOST}/24")
        show(OF_TAP)
        return serve_and_show(arguments, os.path.join(folder, "text"))
    finally:
        tap_network.remove(DEVICE)


def on_dpdk(arguments, folder):
    arguments.claim.note(pair=True)
    try:
        dpdk_network.make_namespace(NAMESPACE)
        with dpdk_network.HugePages() as huge_pages:
            if not huge_pages.given:
                say("the kernel gives no huge pages; going on without, somewhat slower")
            dpdk_network.make(DPDK_PORT, DEVICE, [KERNEL], NAMESPACE)
            arguments.profile = dpdk_network.write_profile(
                arguments.profile, os.path.join(folder, "dpdk.toml"), DPDK_PORT, f"{HOST}/24",
                huge_pages.given)
            arguments.inside = ["ip", "netns", "exec", NAMESPACE]
            show(OF_DPDK)
            return serve_and_show(arguments, os.path.join(folder, "text"))
    finally:
        dpdk_network.remove_namespace(NAMESPACE, DPDK_PORT)


def with_network(arguments, folder):
    """Calls serve_and_show with the network that was asked for."""
    if arguments.net == "kernel":
        return serve_and_show(arguments, os.path.join(folder, "text"))
    why_not = {"tap": tap_network, "dpdk": dpdk_network}[arguments.net].missing()
    if why_not is not None:
        say(why_not)
        return False
    try:
        with network_claim.Claim() as arguments.claim:
            why_not = clear_network(arguments)
            if why_not is not None:
                say(why_not)
                return False
            return {"tap": on_tap, "dpdk": on_dpdk}[arguments.net](arguments, folder)
    except network_claim.Taken as taken:
        say(str(taken))
        return False
    except (subprocess.CalledProcessError, OSError) as error:
        say(f"failed: {error}")
        return False
    except KeyboardInterrupt:
        return False


def serve_and_show(arguments, text_path):
    command = arguments.inside + [arguments.program, "serve", "--profile", arguments.profile,
               "--data", arguments.data, "--admin", arguments.admin]
    for address in arguments.listen:
        command += ["--listen", address]
    for address in arguments.advertise:
        command += ["--advertise", address]
    say("starting: " + " ".join(command))
    broker = Broker(command)
    if arguments.claim is not None:
        arguments.claim.note_broker(broker.process.pid)
    good = False
    try:
        broker.wait_ready()
        good = demonstrate(arguments.listen[0], text_path)
        if good and not arguments.once:
            show(HOW_TO.format(address=arguments.listen[0], admin=arguments.admin,
                               program=arguments.program,
                               inside="".join(f"{word} " for word in arguments.inside)))
            broker.process.wait()
            good = False
            say(f"the broker ended by itself, code {broker.process.returncode}")
    except KeyboardInterrupt:
        show("")
        say("stopping")
    except (Stopped, subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        say(f"failed: {error}")
    code = broker.stop()
    if broker.was_ready:
        say(f"the broker stopped with code {code}; its records stay in {arguments.data}")
    return good and code == 0


def main():
    # SIGHUP: the terminal was closed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # A shell starts background jobs with SIGINT ignored; we want it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = parse_arguments()
    if shutil.which("kcat") is None:
        say("kcat is missing; tools/dev setup installs it")
        return 1
    with tempfile.TemporaryDirectory(prefix="tailrace-run-") as folder:
        return 0 if with_network(arguments, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
