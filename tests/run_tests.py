#!/usr/bin/env python3
"""Runs every kind of test and adds up what came out. `tools/dev test` is the way to call it.

Stages, in this order: build, tidy, unit (unit tests and traces), fuzz (smoke), sim, peer (Linux as
the peer of our TCP/IP), e2e. A stage is a program of its own; this file only starts it, watches the
clock and counts. A stage that reports its own counts ends with the line "N passed, N failed, N
skipped" and says each skip as "SKIP what: why". A stage whose program does not exist is a skip,
never a pass.
"""
import argparse
import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

BUILD = "build/release"
STAGES = ["tidy", "unit", "fuzz", "sim", "peer", "e2e"]
# Seconds a stage may use for its rounds; a build comes on top. About 20 minutes together.
BUDGET_SECONDS = {"unit": 180, "fuzz": 60, "sim": 120, "peer": 80, "e2e": 420}
LONG_FACTOR = 10
# What the simulator runs with --long, whatever time it takes.
LONG_NODE_SEEDS = 40_000
LONG_LOG_SEEDS = 20_000
LONG_LIFE_HOURS = 24
# Two of our TCP stacks over a bad network: schedules of the short and of the long run.
NET_SEEDS = 12_000
LONG_NET_SEEDS = 200_000
GRACE_SECONDS = 120
OWN_NETWORK_MODULES = "kcat,raw,limits,capture,attacks"
TWO_CORES_MODULES = "kcat,raw,limits"
# The clients of the end-to-end tests are fetched and built at their first run.
E2E_BUILD_SECONDS_MAX = 2400
SIM_RANGE = re.compile(r"^((?:log |life |net )?seeds) (\d+)\.\.(\d+): ", re.M)
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
GTEST_CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] \S+ \(\d+ ms\)$", re.M)


def say(text):
    print(f"test: {text}", flush=True)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add(self, good, what):
        if good:
            self.passed += 1
        else:
            self.failures.append(what)
            say(f"FAILED {what}")

    def skip(self, what, why):
        self.skips.append(f"{what}: {why}")
        say(f"SKIP {what}: {why}")


def budget(stage, long_run):
    seconds = os.environ.get(f"TAILRACE_{stage.upper()}_SECONDS")
    if seconds is not None:
        return int(seconds)
    return BUDGET_SECONDS[stage] * (LONG_FACTOR if long_run else 1)


def run_program(command, seconds_max, quiet=False):
    """Runs `command`, its output to ours but for summary lines. Returns exit code (None: killed
    at the time limit) and output. Reading ends with the process, not with what it left behind."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True)
    timed_out = False

    def too_long(*_):
        nonlocal timed_out
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds_max)
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if not quiet and not SUMMARY.match(line.strip()):
                print(f"  {line}", end="", flush=True)
        process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        signal.alarm(0)
    return (None if timed_out else process.returncode), "".join(lines)


def run_counting(tally, stage, command, seconds_max):
    """A stage that may report its own counts."""
    code, output = run_program(command, seconds_max)
    count_output(tally, stage, code, output, seconds_max)


def count_output(tally, stage, code, output, seconds_max):
    tail = output.strip().splitlines()[-1:] or [""]
    summary = SUMMARY.match(tail[0])
    if summary is None:
        how = f"killed after {seconds_max} s" if code is None else f"exit code {code}"
        tally.add(code == 0, f"{stage} ({how})")
        return
    passed, failed, skipped = (int(n) for n in summary.groups())
    tally.passed += passed
    tally.failures += [f"{stage}: see its output"] * failed
    if code != 0 and failed == 0:
        tally.failures.append(f"{stage} (exit code {code} with no failure told)")
    told = [line.strip()[5:] for line in output.splitlines() if line.strip().startswith("SKIP ")]
    tally.skips += (told + [f"{stage}: no reason told"] * skipped)[:skipped]


def build(tally):
    code, _ = run_program(["tools/dev", "build", "release"], 3600)
    tally.add(code == 0, "build of build/release")
    return code == 0


def stage_tidy(tally, _):
    for check in sorted(glob.glob("tests/tidy/[a-z]*.py")):
        for arguments in ([], ["--self-test"]):
            code, output = run_program([sys.executable, check, *arguments], 300, quiet=True)
            if code != 0:
                print(output, end="")
            tally.add(code == 0, " ".join([check, *arguments]))


def count_meson_test(tally, result):
    """One meson test: its gtest cases when it has some, itself otherwise."""
    name, good = result["name"], result["result"] in ("OK", "EXPECTEDFAIL")
    if result["result"] == "SKIP":
        tally.skip(name, "the test skipped itself")
        return
    cases = GTEST_CASE.findall(result.get("stdout") or "")
    failed = cases.count("FAILED")
    tally.passed += cases.count("OK")
    for _ in range(failed):
        tally.add(False, f"a case of {name}")
    for _ in range(cases.count("SKIPPED")):
        tally.skip(f"a case of {name}", "it says so in build/release/meson-logs/testlog.txt")
    if not good and failed == 0:
        tally.add(False, f"{name} ({result['result']})")
    if good and not cases:
        tally.add(True, name)


def run_meson(tally, stage, arguments, seconds_max):
    log = f"{BUILD}/meson-logs/testlog.json"
    if os.path.exists(log):
        os.remove(log)
    # Meson would have malloc fill what it gives out: minutes where a node reserves its memory,
    # which is zeroed all the same.
    os.environ["MALLOC_PERTURB_"] = "0"
    code, _ = run_program(["meson", "test", "-C", BUILD, "--no-rebuild", "--print-errorlogs",
                           "--timeout-multiplier", "5", *arguments], seconds_max)
    results = []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            results = [json.loads(line) for line in file if line.strip()]
    for result in results:
        count_meson_test(tally, result)
    if not results or code is None:
        tally.add(False, f"{stage}: meson test did not finish")


def stage_unit(tally, options):
    left_out = ["tidy", "fuzz", "sim", "e2e", *([] if options.long else ["long"])]
    run_meson(tally, "unit", [word for suite in left_out for word in ("--no-suite", suite)],
              budget("unit", options.long) + GRACE_SECONDS)


def stage_fuzz(tally, options):
    """The smoke runs of every target without a fuzzer; --long also lets libFuzzer at them."""
    run_meson(tally, "fuzz", ["--suite", "fuzz"], budget("fuzz", options.long) + GRACE_SECONDS)
    if not options.long:
        return
    targets = [os.path.basename(path)[:-len("_fuzz.cc")]
               for path in sorted(glob.glob("tests/fuzz/*_fuzz.cc"))]
    seconds = max(10, budget("fuzz", True) // max(1, len(targets)))
    for name in targets:
        if name == "canary":
            continue
        code, _ = run_program(["tools/dev", "fuzz", name, f"-max_total_time={seconds}"],
                              seconds + 1800)
        tally.add(code == 0, f"fuzz {name} for {seconds} s")


def sim_commands(program, long_run):
    """One command per processor, over ranges of seeds that have nothing in common."""
    workers = os.cpu_count() or 1
    if not long_run:
        return [[program, "--from", str(1 + i * 1_000_000), "--seconds", str(budget("sim", False))]
                for i in range(workers)]
    commands = []
    for seeds, more in ((LONG_NODE_SEEDS, []), (LONG_LOG_SEEDS, ["--log"])):
        each = -(-seeds // workers)
        commands += [[program, *more, "--from", str(1 + i * each), "--count", str(each)]
                     for i in range(workers)]
    hours = -(-LONG_LIFE_HOURS // workers)
    commands += [[program, "--from", str(1 + i * 1_000_000), "--hours", str(hours)]
                 for i in range(workers)]
    return commands


def run_together(commands, seconds_max):
    """Runs all at once, output at the end. Returns [(exit code or None: killed, output)]."""
    files = [tempfile.TemporaryFile("w+", errors="replace") for _ in commands]
    running = [subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT,
                                start_new_session=True)
               for command, file in zip(commands, files)]
    deadline = time.monotonic() + seconds_max
    codes = []
    try:
        for process in running:
            try:
                codes.append(process.wait(max(0, deadline - time.monotonic())))
            except subprocess.TimeoutExpired:
                codes.append(None)
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    results = []
    for code, file in zip(codes, files):
        file.seek(0)
        results.append((code, file.read()))
        file.close()
    return results


def net_schedules(tally, long_run):
    """The simulation of two stacks; returns what ran, as SIM_RANGE finds it."""
    program = f"{BUILD}/tests/sim/net/tailrace_net_sim"
    workers = (os.cpu_count() or 1) if long_run else 1
    each = -(-LONG_NET_SEEDS // workers) if long_run else NET_SEEDS
    commands = [[program, "--from", str(1 + i * 1_000_000), "--count", str(each)]
                for i in range(workers)]
    say("sim: net " + " & ".join(" ".join(command[1:]) for command in commands))
    reached = []
    seconds_max = 2 * 3600 if long_run else GRACE_SECONDS
    for command, (code, output) in zip(commands, run_together(commands, seconds_max)):
        print("".join(f"  {line}\n" for line in output.splitlines()
                      if not SUMMARY.match(line.strip())), end="", flush=True)
        count_output(tally, " ".join(["sim net", *command[1:]]), code, output, seconds_max)
        reached += [(kind, int(first), int(last))
                    for kind, first, last in SIM_RANGE.findall(output)]
    return reached


def stage_sim(tally, options):
    program = f"{BUILD}/tests/sim/tailrace_sim"
    if not os.path.exists(program):
        tally.skip("sim", f"{program} is not built")
        return
    # Every planted fault is found, the first seeds pass; then as many as fit, or a fixed number.
    run_meson(tally, "sim", ["--suite", "sim"], 1200)
    commands = sim_commands(program, options.long)
    say("sim: " + " & ".join(" ".join(command[1:]) for command in commands))
    seconds_max = 2 * 3600 if options.long else budget("sim", False) + GRACE_SECONDS
    begun = time.monotonic()
    reached = []
    for command, (code, output) in zip(commands, run_together(commands, seconds_max)):
        lines = [line for line in output.splitlines()
                 if " seeds/s, " not in line and not SUMMARY.match(line.strip())]
        print("".join(f"  {line}\n" for line in lines), end="", flush=True)
        count_output(tally, " ".join(["sim", *command[1:]]), code, output, seconds_max)
        reached += [(kind, int(first), int(last))
                    for kind, first, last in SIM_RANGE.findall(output)]
    reached += net_schedules(tally, options.long)
    for kind in ("seeds", "log seeds", "life seeds", "net seeds"):
        ranges = sorted(one[1:] for one in reached if one[0] == kind)
        if not ranges:
            continue
        count = sum(last - first + 1 for first, last in ranges)
        told = ", ".join(f"{first}..{last}" for first, last in ranges)
        say(f"sim: {count} {kind} ({told}) in {time.monotonic() - begun:.0f} s")


def stage_peer(tally, options):
    seconds = budget("peer", options.long)
    run_counting(tally, "peer", [sys.executable, "tests/peer/run.py", "--seconds", str(seconds),
                                 *(["--long"] if options.long else [])],
                 (3600 if options.long else 2 * seconds) + GRACE_SECONDS)


def stage_e2e(tally, options):
    if not os.path.exists("tests/e2e/run.py"):
        tally.skip("e2e", "tests/e2e/run.py is not there")
        return
    seconds = budget("e2e", options.long)
    run_counting(tally, "e2e", [sys.executable, "tests/e2e/run.py", "--seconds", str(seconds),
                                *(["--long"] if options.long else [])],
                 2 * seconds + E2E_BUILD_SECONDS_MAX)
    # The same over our own TCP/IP: all of it with --long, else what is soon done.
    some = "" if options.long else f"{OWN_NETWORK_MODULES},steering"
    for network, cores, modules in [("tap", 1, some), ("dpdk", 1, some),
                                    ("tap", 2, TWO_CORES_MODULES)]:
        run_counting(tally, f"e2e over {network}, {cores} core" + ("s" if cores > 1 else ""),
                     [sys.executable, "tests/e2e/run.py", "--net", network, "--cores", str(cores),
                      *(["--modules", modules] if modules else []), "--seconds", str(seconds)],
                     2 * seconds + E2E_BUILD_SECONDS_MAX)


def finish(tally):
    for text in tally.failures:
        say(f"failed: {text}")
    for text in tally.skips:
        say(f"skipped: {text}")
    print(f"{tally.passed} passed, {len(tally.failures)} failed, {len(tally.skips)} skipped",
          flush=True)
    return 1 if tally.failures else 0


def main():
    parser = argparse.ArgumentParser(prog="tools/dev test")
    parser.add_argument("--long", action="store_true", help="full counts: hours")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {' '.join(STAGES)}")
    options = parser.parse_args()
    for stage in options.stages:
        if stage not in STAGES:
            parser.error(f"no stage {stage}; there are: {' '.join(STAGES)}")
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    tally = Tally()
    begun = time.monotonic()
    if build(tally):
        for stage in options.stages or STAGES:
            say(f"--- {stage} ({time.monotonic() - begun:.0f} s so far)")
            before = tally.passed, len(tally.failures), len(tally.skips)
            globals()[f"stage_{stage}"](tally, options)
            after = tally.passed, len(tally.failures), len(tally.skips)
            counts = [b - a for a, b in zip(before, after)]
            say(f"{stage}: {counts[0]} good, {counts[1]} bad, {counts[2]} left out")
    say(f"took {time.monotonic() - begun:.0f} s")
    return finish(tally)


if __name__ == "__main__":
    sys.exit(main())
