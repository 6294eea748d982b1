#!/usr/bin/env python3
"""The broker over our own TCP/IP and over the kernel's, same client, comparable paths: a tap device
and DPDK's AF_XDP on a veth pair (our stack on the broker's side, the kernel's on the client's),
and veth pairs with the kernel's on both sides, in turns: "veth" as it is, where a frame may have
64 KiB and no checksum, as on the tap; "plain" with frames of the MTU and checksums, as AF_XDP has
them. With "vhost" and "virtio" our stack is on both sides, and no kernel between them (bypass.py
tells which of them is which). Needs root; works in a network namespace of its own."""
import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
import bypass  # noqa: E402
import common  # noqa: E402
import dpdk_network  # noqa: E402
import tap_network  # noqa: E402
from common import (SIZES, Broker, describe_machine, enter_own_network, need,  # noqa: E402
                    print_table, say, spread, stop_on_signals)

DEVICE = "bench0"
DPDK_PORT = "bench4"
# What each path is compared with.
BASELINE = {"tap": "veth", "dpdk": "plain", "vhost": "veth", "virtio": "veth"}
BYPASS = ["vhost", "virtio"]
VETH_NETWORKS = {"veth": "10.79.0", "plain": "10.81.0"}
PORT = 9092
STORED_BYTES = 16 << 20  # stays in the cache


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


class DpdkBroker(Broker):
    def __init__(self, profile, huge_pages):
        super().__init__("network-dpdk", profile)
        self.address = f"10.80.0.1:{PORT}"
        self.profile = dpdk_network.write_profile(
            self.profile, os.path.join(self.directory, "dpdk.toml"), DPDK_PORT, "10.80.0.1/24",
            huge_pages)


class VethBroker(Broker):
    """Its process is in another namespace; its admin server is not asked for."""

    def __init__(self, path, profile, namespace):
        super().__init__(f"network-{path}", profile)
        self.address = f"{VETH_NETWORKS[path]}.1:{PORT}"
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


def cycles_of_request(run):
    """Of the broker's processor time, by the nominal clock."""
    bytes_each = run["mb_s"] * 1e6 / run["per_s"]
    return run["broker_s_per_gb"] * bytes_each / 1e9 * common.clock_hz()


def work_s_per_gb(run):
    """The broker's processor time but for that in which it polled a device that had nothing."""
    return run["broker_s_per_gb"] - run.get("spun_s", 0) / run["all_bytes"] * 1e9


FIGURES = {"requests/s": lambda run: run["per_s"],
           "broker s/GB": lambda run: run["broker_s_per_gb"],
           "working": work_s_per_gb}


def compare(options, brokers):
    """`brokers` by path."""
    rows = []
    for what, size in [tuple(case.split(":")) for case in options.cases.split(",")]:
        for broker in brokers.values():
            prepare(broker, what, size, options)
        runs = {path: [] for path in brokers}
        for _ in range(options.repeats):
            for path, broker in brokers.items():
                runs[path].append(measure(broker, what, size, options))
        for path, those in runs.items():
            rows.append([f"{what} {size}", path, spread(run["per_s"] for run in those),
                         spread(run["p50_us"] for run in those),
                         spread(run["p99_us"] for run in those),
                         spread(run["broker_s_per_gb"] for run in those),
                         spread(work_s_per_gb(run) for run in those),
                         spread(cycles_of_request(run) for run in those)])
            other = BASELINE.get(path)
            for figure, of in FIGURES.items() if other is not None else ():
                ratios = [of(a) / of(b) for a, b in zip(those, runs[other])]
                say(f"{what} {size}: {figure} {path} / {other}, pair by pair: median "
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
    say()
    print_table(["", "path", "requests/s", "p50 us", "p99 us", "broker s/GB", "working",
                 "cycles/request"], rows)


def make_networks(paths, namespace):
    run("ip link set lo up")
    if "tap" in paths:
        tap_network.make(DEVICE, "10.78.0.2/24")
    if "dpdk" in paths:
        dpdk_network.make(DPDK_PORT, "bench3", ["10.80.0.2/24"])
    run(f"ip netns add {namespace}")
    run(f"ip -n {namespace} link set lo up")
    for path in kernel_paths(paths):
        here, there, network = f"{path}1", f"{path}2", VETH_NETWORKS[path]
        run(f"ip link add {here} type veth peer name {there}")
        if path == "plain":
            dpdk_network.complete_checksums(here)   # which also ends long frames
            dpdk_network.complete_checksums(there)
        run(f"ip link set {there} netns {namespace}")
        run(f"ip address add {network}.2/24 dev {here}")
        run(f"ip link set {here} up")
        run(f"ip -n {namespace} address add {network}.1/24 dev {there}")
        run(f"ip -n {namespace} link set {there} up")


def kernel_paths(paths):
    return sorted({BASELINE[path] for path in paths})


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench network")
    parser.add_argument("--profile", default="hw-profiles/laptop.toml")
    parser.add_argument("--cases", default="produce:1K,produce:64K,fetch:1M")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--paths", default="tap,dpdk",
                        help="tap, dpdk, vhost, virtio; each has its baseline")
    options = parser.parse_args()
    paths = options.paths.split(",")
    need("tailrace", "tailrace_load")
    missing = tap_network.missing()
    if missing is not None or shutil.which("unshare") is None:
        say(f"bench: skipped: {missing or 'there is no unshare'}")
        return
    enter_own_network()
    stop_on_signals()
    describe_machine()
    namespace = f"tailrace-bench-{os.getpid()}"
    pages = bypass.HUGE_PAGES if set(paths) & set(BYPASS) else dpdk_network.HUGE_PAGES_MORE
    with dpdk_network.HugePages(pages) as huge_pages, contextlib.ExitStack() as stack:
        stack.callback(subprocess.run, f"ip netns delete {namespace}".split(), check=False)
        make_networks(paths, namespace)
        brokers = {path: VethBroker(path, options.profile, namespace)
                   for path in kernel_paths(paths)}
        if "tap" in paths:
            brokers["tap"] = TapBroker(options.profile)
        if "dpdk" in paths:
            brokers["dpdk"] = DpdkBroker(options.profile, huge_pages.given)
        for end in [path for path in paths if path in BYPASS]:
            brokers[end] = bypass.BypassBroker(f"network-{end}", end, options.profile,
                                               huge_pages.given)
        for broker in brokers.values():
            stack.enter_context(broker)
        compare(options, brokers)


if __name__ == "__main__":
    main()
