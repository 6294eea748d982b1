#!/usr/bin/env python3
"""Our TCP/IP with Linux on the other side, in a network namespace: each way to open and each
direction, IPv4 and IPv6, with the kernel's knobs and a bad network in between; every run is
captured, and tshark must find nothing wrong with what we sent. README.md beside this file.

Ends with the line "N passed, N failed, N skipped".
"""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
# pylint: disable=wrong-import-position
import canary
import cells
import namespace
import stack
import stories
import traces
from kernel_side import Wrong


class Report:
    def __init__(self, folder, keep):
        self.folder = folder
        self.keep = keep
        self.passed = 0
        self.failed = []
        self.packets = 0

    def run(self, name, options, work):
        """`work` gets a running stack and says what went wrong, as texts."""
        begun = time.monotonic()
        file = f"{self.passed + len(self.failed)}_{name.replace(' ', '_')}.pcapng"
        path = os.path.join(self.folder, file)
        wrong, note = [], ""
        one = None
        try:
            one = stack.Stack(self.program, path, **options)
            wrong = list(work(one))
            one.stop()
            found = traces.look(path)
            wrong += found.errors[:5]
            self.packets += found.packets
            note = f"{found.packets} packets, {found.sent_again} sent again"
            # Where nothing is lost only the probes of a tail whose ACK is late may go again.
            if name in cells.LOSSLESS and found.sent_again > one.counts.get("loss_probes", 0):
                wrong.append(f"{found.sent_again} segments sent again without a loss")
            if name == cells.PLAIN and not wrong:
                wrong += canary.unseen(path)
        except (Wrong, RuntimeError) as error:
            wrong.append(str(error))
        except Exception:  # pylint: disable=broad-exception-caught
            wrong.append(traceback.format_exc())
        finally:
            if one is not None:
                one.kill()
        seconds = time.monotonic() - begun
        outcome = "FAIL" if wrong else "ok"
        print(f"{outcome:<4} {name} ({seconds:.1f} s): {note}", flush=True)
        for text in wrong:
            print(f"     {text}", flush=True)
        if wrong:
            self.failed.append(name)
            counts = " ".join(f"{key}={value}" for key, value in one.counts.items()) if one else ""
            print(f"     {path if self.keep else 'again with --keep for the capture'}; {counts}")
        else:
            self.passed += 1
            if not self.keep and os.path.exists(path):
                os.remove(path)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=75, help="about how long")
    parser.add_argument("--long", action="store_true",
                        help="every knob over every network, as often as --seeds says")
    parser.add_argument("--seeds", type=int, default=3, help="of --long (default 3)")
    parser.add_argument("--seed", type=int, help="of the networks and of what is drawn")
    parser.add_argument("--only", default="", help="what has this in its name")
    parser.add_argument("--program", default=stack.PROGRAM, help="net_peer")
    parser.add_argument("--keep", action="store_true", help="leave the captures in /tmp")
    return parser.parse_args()


def run_all(options, report):
    deadline = time.monotonic() + options.seconds
    report.program = options.program
    seen = set()   # networks that are not clean
    left_out = 0
    for name, place, settings, work in [*stories.all_of(options.seed), *cells.all_of(options)]:
        if options.only not in name:
            continue
        # The clean cells, the stories and one cell over each bad network always run; the rest as
        # time allows.
        over = name.partition(" over ")[2]
        if not options.long and not options.only and time.monotonic() > deadline and over in seen:
            left_out += 1
            continue
        if over:
            seen.add(over)
        with place:
            report.run(name, settings, work)
    print(f"peer: {len(seen)} bad networks, {left_out} of their cells left out for want of time")


def main():
    options = parse_arguments()
    why_not = namespace.missing()
    if why_not is None and not os.access(options.program, os.X_OK):
        why_not = f"{options.program} is not built"
    if why_not is not None:
        print(f"SKIP Linux as peer: {why_not}\n0 passed, 0 failed, 1 skipped")
        return 0
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    options.program = os.path.abspath(options.program)
    namespace.enter()
    namespace.make_device()
    folder = tempfile.mkdtemp(prefix="tailrace-peer-")
    print(f"peer: seed {options.seed}, files in {folder}", flush=True)
    random.seed(options.seed)
    report = Report(folder, options.keep)
    try:
        run_all(options, report)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"peer: {report.packets} packets looked at")
    for name in report.failed:
        print(f"failed: {name}; tests/peer/run.py --seed {options.seed} --only '{name}'")
    print(f"{report.passed} passed, {len(report.failed)} failed, 0 skipped", flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
