#!/usr/bin/env python3
"""What a compaction costs those who write beside it: produce at a fixed rate to one topic, without
and beside a compaction of another on the same core, in turns: while it reads the keys (mapping),
and while it writes what is left (cleaning). Ratios are taken pair by pair."""
import argparse
import os
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "e2e"))
from common import (SIZES, Broker, describe_machine, need, print_table, say,  # noqa: E402
                    spread, stop_on_signals)
from wire import Connection, array, string  # noqa: E402

CHECK_SECONDS = 1
# What grows in each.
PHASES = {"mapping": "compaction_read_bytes_total", "cleaning": "compaction_written_bytes_total"}


def set_policy(broker, policy):
    """Of the topic that is to be compacted; from `compact` to `delete` a pass is given up."""
    config = string("cleanup.policy") + b"\0" + string(policy)
    with Connection(int(broker.address.rsplit(":", 1)[1])) as peer:
        answer = peer.call(44, 0, array([b"\2" + string("keys") + array([config])]) + b"\0")
    error, = struct.unpack_from(">h", answer, 8)
    if error != 0:
        raise SystemExit(f"bench: cleanup.policy={policy}: error {error}")


def wait_for_growth(broker, metric, most_seconds=120):
    before = broker.metric(metric)
    deadline = time.monotonic() + most_seconds
    while broker.metric(metric) < before + (1 << 20):
        if time.monotonic() > deadline:
            raise SystemExit("bench: nothing is compacted")
        time.sleep(0.1)


def fill(broker, options):
    """Every key over and over, in one partition."""
    configs = [("segment.bytes", str(16 << 20)), ("min.cleanable.dirty.ratio", "0")]
    with Connection(int(broker.address.rsplit(":", 1)[1])) as peer:
        if peer.create_topic("keys", 1, configs) != 0:
            raise SystemExit("bench: no topic")
    command = ["kcat", "-q", "-P", "-b", broker.address, "-t", "keys", "-p", "0", "-K", ":",
               "-z", options.codec, "-X", "linger.ms=50"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as kcat:
        value = "v" * options.value_bytes
        written = 0
        while written < options.mb << 20:
            lines = "".join(f"key {n}:{value}\n" for n in range(options.keys))
            kcat.stdin.write(lines.encode())
            written += len(lines)
    if kcat.returncode != 0:
        raise SystemExit("bench: kcat failed")


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench compaction")
    parser.add_argument("--profile", default="hw-profiles/laptop.toml")
    parser.add_argument("--sizes", default="1K,64K")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--share", type=float, default=0.3, help="of the most, for the rate")
    parser.add_argument("--mb", type=int, default=256, help="of the topic that is compacted")
    parser.add_argument("--keys", type=int, default=300_000,
                        help="whose newest records are written anew: so long that no pass ends "
                             "while it is measured")
    parser.add_argument("--value-bytes", type=int, default=400)
    parser.add_argument("--codec", default="none")
    parser.add_argument("--bytes-per-second", type=int, help="instead of the profile's")
    options = parser.parse_args()
    need("tailrace", "tailrace_load")
    stop_on_signals()
    describe_machine()
    rows = []
    changes = {"check_s": CHECK_SECONDS, "checkpoint_interval_s": 5}
    if options.bytes_per_second:
        changes["bytes_per_second"] = options.bytes_per_second
    for size in options.sizes.split(","):
        with Broker("compaction", options.profile, changes) as broker:
            fill(broker, options)
            broker.load("create", topic="bench", partitions=8)
            shape = {"topic": "bench", "partitions": 8, "bytes": SIZES[size], "connections": 4,
                     "depth": 4, "warm_up": 1, "seconds": options.seconds}
            rate = broker.load("produce", total_bytes=1 << 30, **shape)["per_s"] * options.share
            runs = {"without": [], "mapping": [], "cleaning": []}
            moved = {"mapping": [], "cleaning": []}
            for _ in range(options.repeats):
                set_policy(broker, "delete")
                time.sleep(1)
                runs["without"].append(broker.load("produce", rate=rate, **shape))
                set_policy(broker, "compact")
                for phase, metric in PHASES.items():
                    wait_for_growth(broker, metric)
                    before = broker.metric(metric)
                    runs[phase].append(broker.load("produce", rate=rate, **shape))
                    moved[phase].append((broker.metric(metric) - before) / 1e6)
            for what, those in runs.items():
                rows.append([size, what, spread(run["per_s"] for run in those),
                             spread(run["p50_us"] for run in those),
                             spread(run["p99_us"] for run in those),
                             spread(run["p999_us"] for run in those)])
            for phase, metric in PHASES.items():
                ratios = [b["p99_us"] / w["p99_us"]
                          for b, w in zip(runs[phase], runs["without"])]
                say(f"{size}: p99 beside {phase} / without, pair by pair: median "
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}); "
                    f"{spread(moved[phase])} MB {metric.split('_')[1]} meanwhile")
    say()
    print_table(["size", "produce", "requests/s", "p50 us", "p99 us", "p99.9 us"], rows)


if __name__ == "__main__":
    main()
