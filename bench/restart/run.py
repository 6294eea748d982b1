#!/usr/bin/env python3
"""Restart after kill -9 under load, with many partitions and much data; then what an idle broker
of the laptop profile takes.

The kill comes when the WAL that a restart must replay is about at its largest. The time runs from
the start of the new process to the first acknowledged produce."""
import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import (Broker, describe_machine, free_gib, need, print_table,  # noqa: E402
                    program, say, spread, stop_on_signals)

GB = 10**9
TOPIC = {"topic": "bench"}


def fill(broker, options):
    say(f"storing {options.gb} GB in {options.partitions} partitions")
    begun = time.monotonic()
    broker.load("create", **TOPIC, partitions=options.partitions)
    run = broker.load("produce", **TOPIC, partitions=options.partitions, bytes=1 << 18,
                      connections=4, depth=4, warm_up=0, seconds=3600,
                      total_bytes=options.gb * GB)
    say(f"stored {run['all_bytes'] / GB:.2f} GB in {time.monotonic() - begun:.0f} s")


def kill_at_worst(broker, options):
    """Loads the broker and kills it when replay_bytes is near the largest seen. Returns it."""
    load = subprocess.Popen(
        [program("tailrace_load"), "produce", "--address", broker.address, "--topic", "bench",
         "--partitions", str(options.partitions), "--bytes", "65536", "--connections", "4",
         "--depth", "8", "--warm-up", "0", "--seconds", "600", "--may-break", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    largest = 0
    begun = time.monotonic()
    while True:
        now = broker.metric("replay_bytes")
        seconds = time.monotonic() - begun
        if seconds > 3 and now >= (0.95 if seconds < 10 else 0.5) * largest:
            break
        largest = max(largest, now)
    broker.kill()
    load.wait(60)
    return now


def restart(broker):
    """Seconds from the start to the first connection and to the first acknowledged produce."""
    probe = subprocess.Popen([program("tailrace_load"), "probe", "--address", broker.address,
                              *sum(([f"--{k}", v] for k, v in TOPIC.items()), [])],
                             stdout=subprocess.PIPE, text=True)
    time.sleep(0.2)
    begun_ns = time.monotonic_ns()
    broker.start(wait=False)
    text = probe.communicate(timeout=180)[0]
    result = json.loads(text)
    return [(result[name] - begun_ns) / 1e9 for name in ("connected_ns", "answered_ns")]


def measure_restarts(options):
    with Broker("restart", options.profile) as broker:
        if free_gib(broker.directory) < 1.5 * options.gb + 4:
            raise SystemExit(f"bench: {free_gib(broker.directory):.0f} GiB free: too little for "
                             f"{options.gb} GB and what the kill loads add")
        fill(broker, options)
        replays, connected, answered = [], [], []
        for _ in range(options.repeats):
            replays.append(kill_at_worst(broker, options) / 2**20)
            times = restart(broker)
            connected.append(times[0])
            answered.append(times[1])
            say(f"killed with {replays[-1]:.1f} MiB to replay; listening after "
                f"{times[0]:.3f} s, first answer after {times[1]:.3f} s")
            broker.ready.wait(60)
        resident = broker.resident_mib()
        say()
        print_table(["kill -9 and start again", "figure"],
                    [["to replay, MiB", spread(replays)], ["listening, s", spread(connected)],
                     ["first answer, s", spread(answered)],
                     ["resident afterwards, MiB", f"{resident:.0f}"]])


def measure_idle(options):
    """The laptop profile without load: fresh, and with partitions and connections."""
    rows = []
    with Broker("idle", options.profile) as broker:
        for what in ("fresh", f"{options.partitions} partitions, after 1 GB of load"):
            if what != "fresh":
                broker.load("create", **TOPIC, partitions=options.partitions)
                broker.load("produce", **TOPIC, partitions=options.partitions, bytes=65536,
                            connections=4, depth=4, warm_up=0, seconds=600, total_bytes=GB)
            time.sleep(3)
            shares, resident = [], []
            for _ in range(options.repeats):
                before, begun = broker.cpu_seconds(), time.monotonic()
                time.sleep(options.idle_seconds)
                shares.append((broker.cpu_seconds() - before) / (time.monotonic() - begun) * 100)
                resident.append(broker.resident_mib())
            rows.append([what, spread(resident), spread(shares)])
    print_table(["idle", "resident MiB", "% of a core"], rows)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench restart")
    parser.add_argument("--profile", default="hw-profiles/laptop.toml")
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--gb", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--idle-seconds", type=float, default=10)
    parser.add_argument("--only", choices=["kill", "idle"])
    options = parser.parse_args()
    need("tailrace", "tailrace_load")
    stop_on_signals()
    describe_machine()
    if options.only != "kill":
        measure_idle(options)
    if options.only != "idle":
        measure_restarts(options)


if __name__ == "__main__":
    main()
