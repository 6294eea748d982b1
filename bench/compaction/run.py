#!/usr/bin/env python3
"""What a compaction costs those who write beside it: produce at a fixed rate to one topic, with and
without a compaction of another on the same core, in turns. Ratios are taken pair by pair."""
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


def set_policy(broker, policy):
    """Of the topic that is to be compacted; from `compact` to `delete` a pass is given up."""
    config = string("cleanup.policy") + b"\0" + string(policy)
    with Connection(int(broker.address.rsplit(":", 1)[1])) as peer:
        answer = peer.call(44, 0, array([b"\2" + string("keys") + array([config])]) + b"\0")
    error, = struct.unpack_from(">h", answer, 8)
    if error != 0:
        raise SystemExit(f"bench: cleanup.policy={policy}: error {error}")


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
    parser.add_argument("--mb", type=int, default=512, help="of the topic that is compacted")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--value-bytes", type=int, default=200)
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
            without, beside, moved = [], [], []
            for _ in range(options.repeats):
                set_policy(broker, "delete")
                time.sleep(1)
                without.append(broker.load("produce", rate=rate, **shape))
                before = broker.metric("compaction_read_bytes_total")
                set_policy(broker, "compact")
                time.sleep(2 * CHECK_SECONDS)
                beside.append(broker.load("produce", rate=rate, **shape))
                moved.append((broker.metric("compaction_read_bytes_total") - before) / 1e6)
            for what, runs in (("without", without), ("beside a compaction", beside)):
                rows.append([size, what, spread(run["per_s"] for run in runs),
                             spread(run["p50_us"] for run in runs),
                             spread(run["p99_us"] for run in runs),
                             spread(run["p999_us"] for run in runs)])
            if min(moved) == 0:
                raise SystemExit("bench: nothing was compacted")
            ratios = [b["p99_us"] / w["p99_us"] for b, w in zip(beside, without)]
            say(f"{size}: p99 beside / without, pair by pair: median "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}); "
                f"compaction read {spread(moved)} MB in each; records dropped "
                f"{broker.metric('compaction_records_dropped_total'):.0f}, passes "
                f"{broker.metric('compactions_total'):.0f}")
    say()
    print_table(["size", "produce", "requests/s", "p50 us", "p99 us", "p99.9 us"], rows)


if __name__ == "__main__":
    main()
