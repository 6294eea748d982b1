#!/usr/bin/env python3
"""One connection over a link that loses frames: our stack sends to the kernel, and the kernel
(CUBIC) sends to the kernel, through the same seeded link (tests/sim/net/net_link.h), in turns.
Needs root; works in network namespaces of its own."""
import argparse
import itertools
import os
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
import dpdk_network  # noqa: E402
import tap_network  # noqa: E402
from common import (BUILD, PREFIX, describe_machine, enter_own_network,  # noqa: E402
                    print_table, say, spread, stop_on_signals)

NUMBERS = itertools.count()
# CUBIC by name, for the default of some machines is another.
SENDER = """import socket, sys
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(bytes(int(sys.argv[3])))
s.recv(2)
"""


def run(command):
    subprocess.run(command.split(), check=True)


def new_device():
    """A name. The device is the program's, and ends with it, but not at once."""
    return f"loss{next(NUMBERS)}"


def bring_up(device, address, namespace=None):
    """Frames no longer than the wire's, with checksums, as the link wants them."""
    dpdk_network.complete_checksums(device)
    inside = f"ip netns exec {namespace} " if namespace else ""
    if namespace:
        run(f"ip link set {device} netns {namespace}")
    run(f"{inside}ip address add {address}/24 dev {device}")
    run(f"{inside}ip link set {device} up")


def receive(server, total):
    """Seconds from the connection to the last byte."""
    peer, _ = server.accept()
    with peer:
        peer.settimeout(120)
        began = time.monotonic()
        left, memory = total, bytearray(1 << 20)
        while left > 0:
            count = peer.recv_into(memory)
            if count == 0:
                break
            left -= count
        seconds = time.monotonic() - began
        if left != 0:
            raise SystemExit(f"bench: {left} bytes are missing")
        peer.sendall(b"ok")
        return seconds


def listen(address):
    server = socket.create_server((address, 0))
    server.settimeout(60)
    return server


def timeouts_of(namespace):
    with subprocess.Popen(["ip", "netns", "exec", namespace, "cat", "/proc/net/netstat"],
                          stdout=subprocess.PIPE, text=True) as process:
        lines = [line.split() for line in process.stdout if line.startswith("TcpExt:")]
    return int(dict(zip(*lines))["TCPTimeouts"])


def ours(options, seed, sack):
    program = os.path.join(BUILD, "tests/peer/net_peer")
    device = new_device()
    words = [f"device={device}", "address=10.83.0.1/24", "link=1", "spin=1", f"loss={options.loss}",
             f"delay_us={options.delay_us}", f"seed={seed}", f"sack={int(sack)}"]
    with listen("0.0.0.0") as server, subprocess.Popen(
            [*PREFIX, program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True) as process:
        try:
            process.stdout.readline()
            bring_up(device, "10.83.0.2")
            port = server.getsockname()[1]
            process.stdin.write(f"connect 10.83.0.2:{port} 0 a source 1 {options.bytes}\n")
            process.stdin.flush()
            seconds = receive(server, options.bytes)
            process.stdout.readline()   # its verdict
            output, _ = process.communicate("quit\n", timeout=30)
        except BaseException:
            process.kill()
            raise
    counts = dict(line.split()[1:] for line in output.splitlines() if line.startswith("count"))
    return seconds, int(counts.get("timeouts", 0))


def kernels(options, seed, sack, namespace):
    run(f"ip netns exec {namespace} sysctl -qw net.ipv4.tcp_sack={int(sack)}")
    program = os.path.join(BUILD, "bench/network/tailrace_link_pair")
    before = timeouts_of(namespace)
    devices = new_device(), new_device()
    with listen("0.0.0.0") as server, subprocess.Popen(
            [*PREFIX, program, *devices, str(options.loss), str(options.delay_us),
             str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True) as link:
        try:
            link.stdout.readline()
            bring_up(devices[1], "10.84.0.2")
            bring_up(devices[0], "10.84.0.1", namespace)
            with subprocess.Popen(
                    ["ip", "netns", "exec", namespace, *PREFIX, sys.executable, "-c", SENDER,
                     "10.84.0.2", str(server.getsockname()[1]), str(options.bytes)]) as sender:
                try:
                    seconds = receive(server, options.bytes)
                    sender.wait(30)
                finally:
                    sender.kill()
            frames = int(link.communicate("", timeout=30)[0].split()[-1])
        except BaseException:
            link.kill()
            raise
    # Else they were longer than the wire takes, and few of them lost.
    if frames < options.bytes / 1448:
        raise SystemExit(f"bench: {frames} frames for {options.bytes} bytes")
    return seconds, timeouts_of(namespace) - before


def compare(options, namespace):
    rows = []
    for sack in (True, False):
        rates = {"ours": [], "kernel": []}
        timeouts = {"ours": 0, "kernel": 0}
        for turn in range(options.repeats):
            seed = options.seed + turn
            for who, (seconds, count) in (("ours", ours(options, seed, sack)),
                                          ("kernel", kernels(options, seed, sack, namespace))):
                rates[who].append(options.bytes * 8 / seconds / 1e6)
                timeouts[who] += count
        ratios = [a / b for a, b in zip(rates["ours"], rates["kernel"])]
        name = "with SACK" if sack else "without"
        rows.append([name, spread(rates["ours"]), spread(rates["kernel"]), spread(ratios),
                     timeouts["ours"], timeouts["kernel"]])
        say(f"{name}: median ratio {statistics.median(ratios):.2f}")
    say()
    print_table(["", "ours, Mbit/s", "kernel", "ratio, pair by pair", "our time-outs", "kernel's"],
                rows)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench loss")
    parser.add_argument("--loss", type=int, default=100, help="of 10,000 frames, either way")
    parser.add_argument("--delay-us", type=int, default=200, help="one way")
    parser.add_argument("--bytes", type=int, default=20_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    missing = tap_network.missing()
    if missing is not None:
        say(f"bench: skipped: {missing}")
        return
    enter_own_network()
    stop_on_signals()
    describe_machine()
    namespace = f"tailrace-loss-{os.getpid()}"
    try:
        run("ip link set lo up")
        run(f"ip netns add {namespace}")
        # What one connection learnt must not be the next one's.
        run(f"ip netns exec {namespace} sysctl -qw net.ipv4.tcp_no_metrics_save=1")
        compare(options, namespace)
    finally:
        subprocess.run(f"ip netns delete {namespace}".split(), check=False)


if __name__ == "__main__":
    main()
