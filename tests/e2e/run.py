#!/usr/bin/env python3
"""End to end: real clients in their own languages, raw sockets and kill -9 against a real broker.

Each module of MODULES has CASES; they run in order against a fresh broker per module. Ends with
the line "N passed, N failed, N skipped". README.md beside this file tells what is tested.
"""
import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import broker
import network
from broker import Broker
from harness import ROOT, Context, Failed, Skip

# kill9 comes last: it takes what the others leave of the time.
MODULES = ["process", "dev", "kcat", "raw", "limits", "steering", "matrix", "kafka_tools",
           "connect", "groups", "transactions", "compaction", "quotas", "capture", "attacks",
           "vhost", "examples", "kill9"]
PROGRAMS = ["build/release/src/tailrace"]


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = 0

    def add(self, name, outcome, text, seconds):
        print(f"{outcome:<4} {name} ({seconds:.1f} s){': ' + text if text else ''}", flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIP {name}: {why}", flush=True)


def find_program(given):
    for path in [given] if given else PROGRAMS:
        path = os.path.join(ROOT, path)
        if os.access(path, os.X_OK):
            return path
    return None


def too_long(*_):
    raise Failed("took too long")


def run_case(case, name, context, report):
    begun = time.monotonic()
    context.notes = []
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(case.seconds_max))
    try:
        case.run(context)
        if context.broker is not None and not context.broker.alive():
            raise Failed(f"the broker ended, code {context.broker.process.returncode}")
    except Skip as skip:
        report.skip(name, str(skip))
        return True
    except Exception as error:  # pylint: disable=broad-exception-caught
        known = isinstance(error, Failed)
        text = str(error) if known else traceback.format_exc()
        report.failed.append(name)
        report.add(name, "FAIL", text, time.monotonic() - begun)
        return False
    finally:
        signal.alarm(0)
    report.passed += 1
    report.add(name, "ok", "; ".join(context.notes), time.monotonic() - begun)
    return True


def show_log(broker):
    print("  the broker's last lines:", flush=True)
    for line in broker.log_tail().splitlines():
        print(f"    {line}", flush=True)


class Elsewhere:
    """A broker that somebody else has started, for --against."""

    def __init__(self, address):
        self.address = address
        self.port = int(address.rsplit(":", 1)[1])

    def alive(self):
        return True

    def stop(self):
        return 0

    def kill9(self):
        pass

    def log_tail(self):
        return ""


def start_shared(program, folder, options):
    """The broker of a module's cases that need none of their own."""
    os.makedirs(folder)
    if options.against:
        return Context(program, folder, Elsewhere(options.against), options)
    return Context(program, folder, Broker(program, folder).start(), options)


def run_shared(cases, module_name, program, folder, options, report):
    if not cases:
        return
    context = start_shared(program, os.path.join(folder, "shared"), options)
    try:
        for case in cases:
            good = run_case(case, f"{module_name}/{case.name}", context, report)
            if not good:
                show_log(context.broker)
            if not context.broker.alive():
                context.broker.start()
        code = context.broker.stop()
        if code != 0:
            report.failed.append(module_name)
            report.add(f"{module_name}/stop", "FAIL", f"exit code {code}", 0)
            show_log(context.broker)
    finally:
        context.broker.kill9()


def run_alone(cases, module_name, program, folder, options, report):
    for number, case in enumerate(cases):
        own = os.path.join(folder, f"own{number}")
        os.makedirs(own)
        context = Context(program, own, None, options)
        if not run_case(case, f"{module_name}/{case.name}", context, report):
            for name in sorted(os.listdir(own)):
                if name.endswith(".log"):
                    print(f"  {name}:", flush=True)
                    with open(os.path.join(own, name), errors="replace", encoding="utf-8") as log:
                        print("    " + "    ".join(log.readlines()[-40:]), flush=True)
        if not options.keep:
            shutil.rmtree(own, ignore_errors=True)


def run_module(module_name, program, folder, options, report):
    module = importlib.import_module(module_name)
    os.makedirs(folder)
    try:
        cases = module.cases(options) if hasattr(module, "cases") else module.CASES
        chosen = [c for c in cases if options.only in f"{module_name}/{c.name}"]
        chosen = [c for c in chosen if not c.is_long or options.long
                  or options.only == f"{module_name}/{c.name}"]
        shared = [c for c in chosen if not c.own_broker]
        run_shared(shared, module_name, program, folder, options, report)
        run_alone([c for c in chosen if c.own_broker], module_name, program, folder, options,
                  report)
    except Exception as error:  # pylint: disable=broad-exception-caught
        report.failed.append(module_name)
        report.add(module_name, "FAIL", f"{type(error).__name__}: {error}", 0)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", "--budget-s", type=int, default=420, dest="seconds",
                        help="about how long all of it may take")
    parser.add_argument("--long", action="store_true", help="200 rounds of kill -9")
    parser.add_argument("--only", default="", help="cases whose MODULE/NAME contains this")
    parser.add_argument("--modules", metavar="NAME,...", default=",".join(MODULES),
                        help="only these (default: all)")
    parser.add_argument("--tailrace", help="the program (default: build/release)")
    parser.add_argument("--seed", type=int, help="of kill9 and garbage (default: drawn)")
    parser.add_argument("--net", choices=["kernel", *network.OWN], default="kernel",
                        help="which TCP/IP the brokers use; all but the kernel's are their own, in "
                        "a namespace")
    parser.add_argument("--cores", type=int, default=1,
                        help="of the brokers whose case says nothing else (default: 1)")
    parser.add_argument("--keep", action="store_true", help="leave the files in /tmp")
    parser.add_argument("--matrix", action="store_true",
                        help="only the matrix of clients, and write its table into README.md")
    parser.add_argument("--against", metavar="HOST:PORT",
                        help="only the matrix, against a broker started by hand")
    return parser.parse_args()


def main():
    options = parse_arguments()
    options.begun = time.monotonic()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    report = Report()
    program = find_program(options.tailrace)
    if program is None:
        print("SKIP e2e: the program is not built; tools/dev build makes it")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    why_not = network.missing(options.net)
    if why_not is not None:
        print(f"SKIP e2e over {options.net}: {why_not}")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    network.use(options.net)
    broker.default_cores = options.cores
    folder = tempfile.mkdtemp(prefix="tailrace-e2e-")
    print(f"e2e: {program}, {network.current.name} network, seed {options.seed}, files in {folder}",
          flush=True)
    try:
        modules = [name for name in MODULES if name in options.modules.split(",")]
        for module_name in ["matrix"] if options.matrix or options.against else modules:
            if network.leaves_out(options.net, module_name):
                continue
            run_module(module_name, program, os.path.join(folder, module_name), options, report)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    for name in report.failed:
        print(f"failed: {name}")
    print(f"{report.passed} passed, {len(report.failed)} failed, {report.skipped} skipped",
          flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
