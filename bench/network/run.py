#!/usr/bin/env python3
"""The broker over our own TCP/IP and over the kernel's, same client, comparable paths: a tap device
(our stack on the broker's side, the kernel's on the client's) and a veth pair (the kernel's on
both), in turns. Needs root; works in a network namespace of its own."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
import common  # noqa: E402
import tap_network  # noqa: E402
from common import (SIZES, Broker, describe_machine, need, print_table, say,  # noqa: E402
                    spread, stop_on_signals)

INSIDE = "TAILRACE_BENCH_INSIDE"
DEVICE = "bench0"
PORT = 9092
STORED_BYTES = 48 << 20  # stays in the cache


def in_namespace(name):
    return ["ip", "netns", "exec", name]


def run(command):
    subprocess.run(command.split(), check=True)


class TapBroker(Broker):
    def __init__(self, profile):
        super().__init__("network-tap", profile)
        self.address = f"10.78.0.1:{PORT}"
        self.profile = tap_network.write_profile(
            self.profile, os.path.join(self.directory, "tap.toml"), DEVICE, "10.78.0.1/24")


class VethBroker(Broker):
    """Its process is in another namespace; its admin server is not asked for."""

    def __init__(self, profile, namespace):
        super().__init__("network-veth", profile)
        self.address = f"10.79.0.1:{PORT}"
        self.namespace = namespace
        self.admin = ""

    def start(self, wait=True):
        # `ip netns exec` becomes the broker, so its process is the one that is measured.
        before = common.PREFIX[:]
        common.PREFIX[:] = in_namespace(self.namespace) + before
        try:
            super().start(wait)
        finally:
            common.PREFIX[:] = before


def measure(broker, what, size, options):
    return broker.load(what, **shape_of(what, size, options), seconds=options.seconds, warm_up=1)


def shape_of(what, size, options):
    return {"topic": f"{what}-{size}", "partitions": 8, "bytes": SIZES[size], "connections": 4,
            "depth": options.depth}


def prepare(broker, what, size, options):
    """A topic of its own for each case; what is to be read has been written."""
    broker.load("create", topic=f"{what}-{size}", partitions=8)
    if what == "fetch":
        broker.load("produce", **shape_of(what, size, options), total_bytes=STORED_BYTES,
                    seconds=600, warm_up=0)


def compare(options, namespace):
    rows = []
    cases = [tuple(case.split(":")) for case in options.cases.split(",")]
    with TapBroker(options.profile) as tap, VethBroker(options.profile, namespace) as veth:
        for what, size in cases:
            for broker in (tap, veth):
                prepare(broker, what, size, options)
            runs = {"tap": [], "veth": []}
            for _ in range(options.repeats):
                runs["veth"].append(measure(veth, what, size, options))
                runs["tap"].append(measure(tap, what, size, options))
            for name, those in runs.items():
                rows.append([f"{what} {size}", name, spread(run["per_s"] for run in those),
                             spread(run["p50_us"] for run in those),
                             spread(run["p99_us"] for run in those),
                             spread(run["broker_s_per_gb"] for run in those)])
            for figure in ("per_s", "broker_s_per_gb"):
                ratios = [a[figure] / b[figure] for a, b in zip(runs["tap"], runs["veth"])]
                say(f"{what} {size}: {figure} tap / veth, pair by pair: median "
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
    say()
    print_table(["", "path", "requests/s", "p50 us", "p99 us", "broker s/GB"], rows)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench network")
    parser.add_argument("--profile", default="hw-profiles/laptop.toml")
    parser.add_argument("--cases", default="produce:1K,produce:64K,fetch:1M")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    need("tailrace", "tailrace_load")
    missing = tap_network.missing()
    if missing is not None or shutil.which("unshare") is None:
        say(f"bench: skipped: {missing or 'there is no unshare'}")
        return
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    stop_on_signals()
    describe_machine()
    run("ip link set lo up")
    tap_network.make(DEVICE, "10.78.0.2/24")
    namespace = f"tailrace-bench-{os.getpid()}"
    run(f"ip netns add {namespace}")
    try:
        run(f"ip link add bench1 type veth peer name bench2 netns {namespace}")
        run("ip address add 10.79.0.2/24 dev bench1")
        run("ip link set bench1 up")
        for line in ("address add 10.79.0.1/24 dev bench2", "link set bench2 up", "link set lo up"):
            run(f"ip -n {namespace} {line}")
        compare(options, namespace)
    finally:
        run(f"ip netns delete {namespace}")


if __name__ == "__main__":
    main()
