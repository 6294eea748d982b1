#!/usr/bin/env python3
"""Two of our stacks over DPDK's ring devices in one thread, bulk data one way: what both ends cost
together. No privileges, no huge pages."""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import BUILD, describe_machine, print_table, run_json, say, spread  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench ring")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    program = os.path.join(BUILD, "bench/network/tailrace_ring_pair")
    if not os.path.exists(program):
        say("bench: skipped: tailrace_ring_pair is not built: there is no DPDK")
        return
    describe_machine()
    runs = {"software": [], "offload": []}
    for _ in range(options.repeats):
        runs["software"].append(run_json([program, str(options.seconds)]))
        runs["offload"].append(run_json([program, str(options.seconds), "offload"]))
    print_table(["checksums", "Gbit/s", "segments per ACK", "retransmissions"],
                [[name, spread(run["gbit_per_s"] for run in those),
                  spread(run["segments"] / run["acks"] for run in those),
                  sum(run["retransmits"] for run in those)] for name, those in runs.items()])


if __name__ == "__main__":
    main()
