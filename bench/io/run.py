#!/usr/bin/env python3
"""Disk benches. `durable`: our WAL writer beside fio, in turns, on the same file system.
`commit`: group commit of 64 partitions through a core's log beside a raw writer."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import (PREFIX, describe_machine, fresh_directory, need,  # noqa: E402
                    print_table, program, run_json, say, spread)

FIO_FILE_BYTES = 256 << 20
BLOCKS = {"4K": 4096, "16K": 16384, "64K": 65536, "256K": 262144, "1M": 1 << 20}


def fio_result(fio, path, bytes_, depth, sync, seconds):
    """Latencies from submission to completion in us. With fdatasync they come apart, write and
    sync; their percentiles are added, which is exact for neither but never below the median."""
    command = [*PREFIX, fio, "--name=durable", f"--filename={path}", f"--size={FIO_FILE_BYTES}",
               "--rw=write", f"--bs={bytes_}", "--ioengine=io_uring", "--direct=1",
               f"--iodepth={depth}", "--time_based", f"--runtime={seconds}s",
               f"--ramp_time={max(seconds // 4, 1)}s", "--overwrite=1", "--thread",
               "--lat_percentiles=1", "--clat_percentiles=0",
               "--percentile_list=50:99:99.9", "--output-format=json"]
    command.append("--sync=dsync" if sync == "dsync" else "--fdatasync=1")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench: fio: {done.stderr}")
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    latency = {name: job["write"]["lat_ns"]["percentile"][name + "0000"] / 1e3
               for name in ("50.00", "99.90")}
    if sync == "fsync":
        for name in latency:
            latency[name] += job["sync"]["lat_ns"]["percentile"][name + "0000"] / 1e3
    return {"p50_us": latency["50.00"], "p999_us": latency["99.90"],
            "per_s": job["write"]["iops"]}


def our_result(bytes_, depth, sync, seconds):
    directory = fresh_directory("durable")
    result = run_json([program("tailrace_durable_append"), "--dir", directory,
                       "--bytes", str(bytes_), "--depth", str(depth), "--sync", sync,
                       "--ms", str(seconds * 1000)])
    shutil.rmtree(directory)
    return result


def ratios(pairs, name, upside_down=False):
    values = [fio[name] / ours[name] if upside_down else ours[name] / fio[name]
              for ours, fio in pairs]
    return spread(values)


def durable(options):
    need("tailrace_durable_append")
    fio = shutil.which("fio")
    if fio is None:
        raise SystemExit("bench: fio is missing; tools/dev setup bench installs it")
    directory = fresh_directory("fio")
    path = os.path.join(directory, "fio.wal")
    with open(path, "wb") as file:
        for _ in range(FIO_FILE_BYTES >> 20):
            file.write(bytes(1 << 20))
        os.fsync(file.fileno())
    rows = []
    for sync in options.sync.split(","):
        for name in options.sizes.split(","):
            for depth in [int(text) for text in options.depths.split(",")]:
                pairs = [(our_result(BLOCKS[name], depth, sync, options.seconds),
                          fio_result(fio, path, BLOCKS[name], depth, sync, options.seconds))
                         for _ in range(options.repeats)]
                rows.append([sync, name, depth,
                             spread(ours["p50_us"] for ours, _ in pairs),
                             spread(theirs["p50_us"] for _, theirs in pairs),
                             ratios(pairs, "p50_us"),
                             spread(ours["p999_us"] for ours, _ in pairs),
                             spread(theirs["p999_us"] for _, theirs in pairs),
                             ratios(pairs, "p999_us"),
                             ratios(pairs, "per_s")])
                say(f"{sync} {name} x {depth}: p50 {rows[-1][5]}, p99.9 {rows[-1][8]}, "
                    f"appends/s {rows[-1][9]}")
    shutil.rmtree(directory)
    say()
    print_table(["sync", "size", "depth", "p50 us", "fio", "ratio", "p99.9 us", "fio", "ratio",
                 "appends/s ratio"], rows)


def commit(options):
    need("tailrace_group_commit")
    rows = []
    for sync in options.sync.split(","):
        directory = fresh_directory("commit")
        done = subprocess.run([*PREFIX, program("tailrace_group_commit"), "--dir", directory,
                               "--pairs", str(options.repeats), "--sync", sync,
                               "--ms", str(options.seconds * 1000)],
                              capture_output=True, text=True)
        shutil.rmtree(directory)
        if done.returncode != 0:
            raise SystemExit(f"bench: {done.stderr}")
        pairs = [json.loads(line) for line in done.stdout.splitlines()]
        rows.append([sync, spread(pair["log"]["batches_per_s"] for pair in pairs),
                     spread(pair["raw"]["batches_per_s"] for pair in pairs),
                     spread(pair["ratio"] for pair in pairs),
                     spread(pair["log"]["p50_us"] for pair in pairs),
                     spread(pair["raw"]["p50_us"] for pair in pairs),
                     spread(pair["log"]["cpu_us_per_batch"] for pair in pairs),
                     spread(pair["raw"]["cpu_us_per_batch"] for pair in pairs)])
        say(f"one commit: 64 batches of {pairs[0]['batch_bytes']} bytes in a frame of "
            f"{pairs[0]['frame_bytes']}; {sync}: median ratio "
            f"{statistics.median(pair['ratio'] for pair in pairs):.2f}")
    say()
    print_table(["sync", "durable batches/s", "raw", "ratio", "commit p50 us", "raw",
                 "CPU us per batch", "raw"], rows)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench durable|commit")
    parser.add_argument("suite", choices=["durable", "commit"])
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--sync", default="fsync,dsync")
    parser.add_argument("--sizes", default=",".join(BLOCKS))
    parser.add_argument("--depths", default="1,4,16")
    options = parser.parse_args()
    options.repeats = options.repeats or (3 if options.suite == "durable" else 10)
    describe_machine()
    (durable if options.suite == "durable" else commit)(options)


if __name__ == "__main__":
    main()
