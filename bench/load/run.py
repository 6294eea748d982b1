#!/usr/bin/env python3
"""The load matrix: a broker of its own on a real disk, our load client beside it.

For each request size: produce as fast as it goes (closed loop), produce at a given share of that
rate (open loop, latency from the intended time), fetch from memory, fetch from disk. Broker and
client share the machine, so the client's processor time stands apart."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import (SIZES, Broker, describe_machine, free_gib, fresh_directory, need,  # noqa: E402
                    print_table, program, run_json, say, spread, stop_on_signals)

GB = 10**9
HOT_BYTES = 16 << 20    # within the laptop profile's cache, and clean after a checkpoint
COLD_BYTES = 1 << 30
HEAD = ["load", "size", "requests/s", "MB/s", "p50 us", "p99 us", "p99.9 us",
        "broker CPU-s/GB", "client CPU-s/GB"]


def row_of(what, size, runs):
    return [what, size, spread(run["per_s"] for run in runs),
            spread(run["mb_s"] for run in runs), spread(run["p50_us"] for run in runs),
            spread(run["p99_us"] for run in runs), spread(run["p999_us"] for run in runs),
            spread(run["broker_s_per_gb"] for run in runs),
            spread(run["client_s_per_gb"] for run in runs)]


class Matrix:
    def __init__(self, options):
        self.options = options
        self.rows = []

    def shape(self, bytes_, **more):
        return {"topic": "bench", "partitions": self.options.partitions, "bytes": bytes_,
                "connections": self.options.connections, "depth": self.options.depth,
                "warm_up": 1, "seconds": self.options.seconds, **more}

    def broker(self):
        return Broker("load", self.options.profile)

    def add(self, what, size, runs):
        self.rows.append(row_of(what, size, runs))
        say(f"{what} {size}: {self.rows[-1][3]} MB/s, p50 {self.rows[-1][4]} us, p99.9 "
            f"{self.rows[-1][6]} us, broker {self.rows[-1][7]} CPU-s/GB")

    def produce(self, size, bytes_):
        fastest, paced = [], []
        for _ in range(self.options.repeats):
            # A new broker for each run, so that none inherits another's data.
            with self.broker() as broker:
                broker.load("create", topic="bench", partitions=self.options.partitions)
                fastest.append(broker.load("produce", **self.shape(
                    bytes_, total_bytes=self.options.gb_max * GB)))
                rate = statistics.median(run["per_s"] for run in fastest) * self.options.share
                paced.append(broker.load("produce", **self.shape(bytes_, rate=rate)))
        self.add("produce, most", size, fastest)
        self.add(f"produce, {self.options.share:.0%} of it", size, paced)

    def fetch(self, size, bytes_):
        for what, stored in (("fetch, memory", HOT_BYTES), ("fetch, disk", COLD_BYTES)):
            with self.broker() as broker:
                broker.load("create", topic="bench", partitions=self.options.partitions)
                # Small batches one at a time would take long to fill a disk with.
                stored = min(stored, bytes_ * 200_000)
                broker.load("produce", **self.shape(bytes_, total_bytes=stored, seconds=600,
                                                    warm_up=0, depth=8))
                runs = [broker.load("fetch", **self.shape(bytes_))
                        for _ in range(self.options.repeats)]
            self.add(what, size, runs)


def witness(options):
    """librdkafka's producer, 1 KiB messages in batches up to 64 KiB."""
    if program("rdkafka_witness") is None:
        say("librdkafka is not there: no outside witness")
        return
    runs, brokers = [], []
    for _ in range(options.repeats):
        with Broker("load", options.profile) as broker:
            broker.load("create", topic="bench", partitions=options.partitions)
            before = broker.cpu_seconds()
            runs.append(run_json([program("rdkafka_witness"), "--address", broker.address,
                                  "--messages", "1000000", "--bytes", "1024"]))
            brokers.append((broker.cpu_seconds() - before) / (runs[-1]["messages"] * 1024 / GB))
    print_table(["librdkafka, acks=all", "messages/s", "MB/s", "p50 ms", "p99 ms",
                 "broker CPU-s/GB"],
                [["1 KiB messages", spread(run["per_s"] for run in runs),
                  spread(run["mb_s"] for run in runs), spread(run["p50_ms"] for run in runs),
                  spread(run["p99_ms"] for run in runs), spread(brokers)]])


def perf_test(options):
    """Kafka's own producer-perf-test, where KAFKA_HOME names an unpacked Kafka."""
    home = os.environ.get("KAFKA_HOME")
    script = os.path.join(home or "", "bin", "kafka-producer-perf-test.sh")
    if home is None or not os.path.exists(script):
        return
    with Broker("load", options.profile) as broker:
        broker.load("create", topic="bench", partitions=options.partitions)
        done = subprocess.run(
            [script, "--topic", "bench", "--num-records", "500000", "--record-size", "1024",
             "--throughput", "-1", "--producer-props", f"bootstrap.servers={broker.address}",
             "acks=all", "batch.size=65536", "linger.ms=1", "enable.idempotence=true"],
            capture_output=True, text=True)
    say("producer-perf-test: " + (done.stdout.strip().splitlines() or ["no output"])[-1])


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench load")
    parser.add_argument("--profile", default="hw-profiles/laptop.toml")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--only", choices=["produce", "fetch", "witness"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--depth", type=int, default=4, help="requests in flight per connection")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.5, help="of the most, for the open loop")
    parser.add_argument("--gb-max", type=int, default=3, help="written per run at most")
    options = parser.parse_args()
    need("tailrace", "tailrace_load")
    stop_on_signals()
    describe_machine()
    place = fresh_directory("load")
    if free_gib(place) < 4 * options.gb_max:
        raise SystemExit(f"bench: {free_gib(place):.0f} GiB free; needed: {4 * options.gb_max}")
    matrix = Matrix(options)
    for size in options.sizes.split(","):
        if options.only in (None, "produce"):
            matrix.produce(size, SIZES[size])
        if options.only in (None, "fetch"):
            matrix.fetch(size, SIZES[size])
    say()
    if matrix.rows:
        print_table(HEAD, matrix.rows)
    if options.only in (None, "witness"):
        witness(options)
        perf_test(options)
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
