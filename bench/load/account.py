#!/usr/bin/env python3
"""Where the broker's cycles go: samples its data thread with perf while it is loaded, and sorts
the samples by what they are for. Needs perf and the right to sample (root, or
kernel.perf_event_paranoid <= 1)."""
import argparse
import collections
import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import bypass  # noqa: E402
from common import (PREFIX, SIZES, Broker, describe_machine, need, print_table, say,  # noqa: E402
                    stop_on_signals)
from dpdk_network import HugePages  # noqa: E402

# Copies are told apart by who asked for them: first match over the stack.
COPY = re.compile(r"^__?mem(cpy|move)")
COPIERS = [
    ("copy into the frame", r"copy_and_crc32c|CoreLog::stage"),
    ("copy into segment blocks", r"::gather|Flusher::"),
    ("putting split requests together", r"broker::on_data|broker::.*(consume|backlog|pump)"),
    ("copies between the other side and us", r"librte_|io::dpdk"),
]
# First match wins, over the innermost function.
KINDS = [
    ("copy into the frame, CRC", r"copy_and_crc32c|crc32"),
    ("copies between kernel and us", r"copy_(to|from)_iter|rep_movs|copy_user|copy_page|"
                                     r"_copy_(to|from)|skb_copy_datagram|simple_copy"),
    ("DPDK", r"librte_|rte_|tailrace::io::dpdk"),
    ("our TCP/IP", r"tailrace::net::|tailrace::io::(UserTransport|StackDriver)"),
    ("check of records", r"RecordIterator|BatchChecker|varint|record::"),
    ("log", r"tailrace::log::"),
    ("broker and codecs", r"tailrace::(broker|kafka|bus|runtime)::"),
    ("our I/O layer", r"tailrace::io::|tailrace::"),
    ("network in the kernel", r"tcp|skb|sock|inet|ip_|__ip|net_|napi|recv|send|loopback|dev_|"
                              r"eth_|qdisc|xmit|netif|csum|nf_|fib_|dst_"),
    ("disk in the kernel", r"ext4|jbd2|iomap|dio|bio|blk|virtio|virtqueue|vring|submit_bio|"
                           r"fsync|folio|page|gup|pin_user|iov_iter|mq_|sbitmap|scsi|dd_"),
    ("io_uring", r"io_|req_"),
    ("sleeping, waking, scheduling", r"sched|wake|swait|futex|hrtimer|timer|tick|clock|ktime|rcu|"
                                     r"task|pick_|enqueue|dequeue|update_|cpu|idle|irq|spin|"
                                     r"lock|switch"),
    ("entering the kernel", r"syscall|entry|exit"),
]


def record(broker, path, seconds):
    # Before the others, which leave nothing to it where they never sleep.
    command = ["chrt", "-f", "2"] if PREFIX else []
    command += ["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", path,
               "--call-graph", "dwarf,4096", "-p", str(broker.process.pid), "--", "sleep",
               str(seconds)]
    return subprocess.run(command, capture_output=True, text=True)


def samples(path):
    """(innermost function, the whole stack from it on) of each."""
    done = subprocess.run(["perf", "script", "-i", path, "-F", "ip,sym,dso"],
                          capture_output=True, text=True)
    for block in done.stdout.split("\n\n"):
        names = [line.split(None, 1)[1] for line in block.splitlines() if len(line.split()) > 1]
        if names:
            yield names[0], names


def kind_of(symbol, stack=()):
    if COPY.search(symbol):
        for kind, pattern in COPIERS:
            if any(re.search(pattern, name) for name in stack):
                return kind
        return "other copies"
    for kind, pattern in KINDS:
        if re.search(pattern, symbol):
            return kind
    return "other"


def report(path, cpu_seconds_per_gb, top):
    kinds, symbols = collections.Counter(), collections.Counter()
    for symbol, stack in samples(path):
        kinds[kind_of(symbol, stack)] += 1
        symbols[re.sub(r"\(.*", "", symbol)] += 1
    total = sum(kinds.values())
    if total == 0:
        raise SystemExit("bench: perf saw nothing")
    print_table(["what", "share", "CPU-s/GB"],
                [[kind, f"{count / total:.1%}", f"{count / total * cpu_seconds_per_gb:.4f}"]
                 for kind, count in kinds.most_common()])
    print_table(["function", "share"],
                [[name[:70], f"{count / total:.1%}"] for name, count in symbols.most_common(top)])


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench account")
    parser.add_argument("--profile", default="hw-profiles/laptop.toml")
    parser.add_argument("--size", default="64K", choices=list(SIZES))
    parser.add_argument("--load", default="produce", choices=["produce", "fetch"])
    parser.add_argument("--stored", type=int, default=16,
                        help="MiB to fetch from; more than the cache: from disk")
    parser.add_argument("--path", default="kernel", choices=["kernel", "vhost", "virtio"],
                        help="the last two without the kernel's network: bench/bypass.py")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--top", type=int, default=30)
    options = parser.parse_args()
    need("tailrace", "tailrace_load")
    if shutil.which("perf") is None:
        say("perf is not there (package linux-perf): no account")
        return
    stop_on_signals()
    describe_machine()
    shape = {"topic": "bench", "partitions": options.partitions, "bytes": SIZES[options.size],
             "connections": options.connections, "depth": options.depth}
    with contextlib.ExitStack() as stack:
        if options.path == "kernel":
            broker = stack.enter_context(Broker("account", options.profile))
        else:
            pages = stack.enter_context(HugePages(bypass.HUGE_PAGES))
            broker = stack.enter_context(bypass.BypassBroker(
                "account", options.path, options.profile, pages.given))
        broker.load("create", topic="bench", partitions=options.partitions)
        if options.load == "fetch":
            broker.load("produce", **shape, total_bytes=options.stored << 20, seconds=600,
                        warm_up=0)
        results = []
        loading = threading.Thread(target=lambda: results.append(
            broker.load(options.load, **shape, warm_up=1, seconds=options.seconds + 2)))
        loading.start()
        time.sleep(2)
        path = os.path.join(broker.directory, "perf.data")
        recorded = record(broker, path, options.seconds)
        loading.join()
        if recorded.returncode != 0:
            raise SystemExit(f"bench: perf: {recorded.stderr}")
        run = results[0]
        say(f"{options.load} {options.size}: {run['mb_s']} MB/s, {run['broker_s_per_gb']} broker "
            f"CPU-s/GB (user {run['broker_user_s']} s, system {run['broker_system_s']} s)")
        if "spun_s" in run:
            say(f"of it {run['spun_s'] / run['all_bytes'] * 1e9:.4f} CPU-s/GB looking at an idle "
                "device")
        report(path, run["broker_s_per_gb"], options.top)


if __name__ == "__main__":
    main()
