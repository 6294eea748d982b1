#!/usr/bin/env python3
"""Runs the micro-benchmarks, their repetitions interleaved at random, and prints the spread."""
import argparse
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import describe_machine, need, print_table, program, spread  # noqa: E402


def collect(repeats, seconds, only):
    command = [program("tailrace_micro"), "--benchmark_format=json",
               f"--benchmark_repetitions={repeats}", f"--benchmark_min_time={seconds}",
               "--benchmark_enable_random_interleaving=true", f"--benchmark_filter={only}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    runs = {}
    for run in json.loads(done.stdout)["benchmarks"]:
        if run["run_type"] != "iteration":
            continue
        if run.get("error_occurred"):
            raise SystemExit(f"bench: {run['name']}: {run['error_message']}")
        runs.setdefault(run["run_name"], []).append(run)
    return runs


def natural(name):
    """Numbers in a name sort as numbers."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench micro")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--only", default=".", help="a regular expression over the names")
    options = parser.parse_args()
    need("tailrace_micro")
    describe_machine()
    rows = []
    collected = collect(options.repeats, options.seconds, options.only)
    for name, runs in sorted(collected.items(), key=lambda item: natural(item[0])):
        row = [name, spread(run["cpu_time"] for run in runs),
               spread(run["cycles"] for run in runs)]
        per_byte = [run["cycles/B"] for run in runs if "cycles/B" in run]
        row.append(spread(per_byte) if per_byte else "")
        row.append(number_of_messages(runs))
        rows.append(row)
    print_table(["what", "ns", "cycles", "cycles per byte", "cycles per message"], rows)


def number_of_messages(runs):
    values = [run["cycles/message"] for run in runs if "cycles/message" in run]
    return spread(values) if values else ""


if __name__ == "__main__":
    main()
