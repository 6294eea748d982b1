#!/usr/bin/env python3
"""Consumer groups: commits per second, and heartbeats while many groups join at once."""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import (Broker, describe_machine, need, print_table, program, run_json,  # noqa: E402
                    say, spread, stop_on_signals)

CHANGES = {"connections_max": 2048}


def column(runs, name):
    return spread(run[name] for run in runs)


def commits(options):
    """Each run has a broker of its own; its processor time is per 1000 offsets."""
    rows = []
    for partitions in (1, 100):
        runs = []
        for _ in range(options.repeats):
            with Broker("groups", options.profile) as broker:
                before = broker.cpu_seconds()
                run = run_json([program("tailrace_groups"), "commit", "--address", broker.address,
                                "--partitions", str(partitions),
                                "--connections", str(options.connections),
                                "--depth", str(options.depth), "--seconds", str(options.seconds)])
                used = broker.cpu_seconds() - before
                # The load before the window is in the processor time, so it is in the count.
                count = run["offsets_per_s"] * (options.seconds + 0.5)
                run["cpu_ms"] = used * 1e3 / (count / 1e3)
                runs.append(run)
        rows.append([partitions, column(runs, "per_s"), column(runs, "offsets_per_s"),
                     column(runs, "p50_us"), column(runs, "p99_us"), column(runs, "cpu_ms")])
        say(f"{partitions} a request: {rows[-1][2]} offsets/s")
    print_table(["offsets a request", "requests/s", "offsets/s", "p50 us", "p99 us",
                 "broker CPU ms per 1000 offsets"], rows)


def storm(options):
    runs = []
    for _ in range(options.repeats):
        with Broker("groups", options.profile, CHANGES) as broker:
            runs.append(run_json([program("tailrace_groups"), "storm", "--address",
                                  broker.address, "--groups", str(options.groups),
                                  "--members", str(options.members)], may_fail=True))
    print_table(["storm", "until all are stable, s", "beat p50 ms", "beat p99 ms", "beat max ms",
                 "calm p99 ms", "late", "errors"],
                [[f"{options.groups} groups of {options.members}", column(runs, "storm_s"),
                  column(runs, "beat_p50_ms"), column(runs, "beat_p99_ms"),
                  column(runs, "beat_max_ms"), column(runs, "calm_p99_ms"),
                  sum(run["late"] for run in runs), sum(run["errors"] for run in runs)]])


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench groups")
    parser.add_argument("--profile", default="hw-profiles/laptop.toml")
    parser.add_argument("--only", choices=["commit", "storm"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--members", type=int, default=1)
    options = parser.parse_args()
    stop_on_signals()
    need("tailrace", "tailrace_groups")
    describe_machine()
    if options.only in (None, "commit"):
        commits(options)
    if options.only in (None, "storm"):
        storm(options)


if __name__ == "__main__":
    main()
