"""What the benches share: where programs are, a broker to load, spreads, tables."""
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("TAILRACE_BENCH_BUILD", os.path.join(ROOT, "build", "release"))
# A real disk by default, where a temporary directory may be memory.
DATA = os.environ.get("TAILRACE_BENCH_DATA", os.path.join(BUILD, "bench-data"))
# Put before every measured program, such as "chrt -f 1" where the machine does other things too:
# then a wake-up does not wait for their time slices (4 ms at 250 Hz).
PREFIX = os.environ.get("TAILRACE_BENCH_PREFIX", "").split()
SIZES = {"1K": 1024, "16K": 16384, "64K": 65536, "1M": 1 << 20}


def program(name):
    places = {"tailrace": "src", "tailrace_micro": "bench/micro", "tailrace_load": "bench/load",
              "rdkafka_witness": "bench/load", "tailrace_groups": "bench/groups",
              "tailrace_durable_append": "bench/io",
              "tailrace_group_commit": "bench/io"}
    path = os.path.join(BUILD, places[name], name)
    return path if os.path.exists(path) else None


def say(text=""):
    print(text, flush=True)


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def spread(values):
    """Median and, in brackets, the smallest and the largest."""
    values = list(values)
    return f"{number(statistics.median(values))} ({number(min(values))}..{number(max(values))})"


def print_table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for index, row in enumerate([head, *rows]):
        say("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |")
        if index == 0:
            say("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    say()


def first_line_with(path, word):
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(word):
                return line.split(":", 1)[1].strip()
    return "?"


INSIDE = "TAILRACE_BENCH_INSIDE"


def enter_own_network():
    """Starts the program anew in a network namespace that ends with it; needs root."""
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def clock_hz():
    """The nominal clock, which the time-stamp counter has."""
    name = first_line_with("/proc/cpuinfo", "model name")
    if "GHz" in name:  # "... CPU @ 2.50GHz"
        return float(name.rsplit("@", 1)[1].strip().removesuffix("GHz")) * 1e9
    return float(first_line_with("/proc/cpuinfo", "cpu MHz")) * 1e6


def describe_machine():
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True).stdout.strip()
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    say(f"commit {commit or '?'}, {first_line_with('/proc/cpuinfo', 'model name')}, "
        f"{os.cpu_count()} cores, kernel {os.uname().release}, load average {load}"
        + (f", under {' '.join(PREFIX)}" if PREFIX else ""))


def fresh_directory(name):
    path = os.path.join(DATA, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def free_gib(path):
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize / 2**30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_json(command, may_fail=False):
    """The last line a program prints, as JSON."""
    done = subprocess.run([*PREFIX, *command], capture_output=True, text=True)
    if done.returncode != 0 and not may_fail:
        raise SystemExit(f"bench: {' '.join(command)}: {done.stderr.strip()} {done.stdout.strip()}")
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {}


class Broker:
    """`tailrace serve` in a directory of its own. Use with `with`: it is killed and its data
    removed at the end."""

    def __init__(self, name, profile="hw-profiles/laptop.toml", changes=None):
        self.directory = fresh_directory(name)
        self.data = os.path.join(self.directory, "data")
        self.address = f"127.0.0.1:{free_port()}"
        self.admin = f"127.0.0.1:{free_port()}"
        self.profile = self._changed(os.path.join(ROOT, profile), changes or {})
        self.client = []  # what the load client needs to know of the way here
        self.process = None

    def _changed(self, path, changes):
        """The profile with some keys' values replaced."""
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        for key, value in changes.items():
            lines = [f"{key} = {value}" if line.split("=")[0].strip() == key else line
                     for line in lines]
        changed = os.path.join(self.directory, "profile.toml")
        with open(changed, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return changed

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, wait=True):
        command = [*PREFIX, program("tailrace"), "serve", "--profile", self.profile,
                   "--data", self.data, "--listen", self.address, "--admin", self.admin]
        self.ready = threading.Event()
        self.lines = []
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        deadline = time.monotonic() + 60
        while wait and not self.ready.wait(0.02):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench: the broker did not start:\n" + "\n".join(self.lines))

    def _read(self, process):
        for line in process.stderr:
            self.lines.append(line.rstrip())
            if line.strip() == "tailrace: ready":
                self.ready.set()

    def kill(self, number=signal.SIGKILL):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def metric(self, name):
        """Of core 0."""
        text = urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10).read().decode()
        for line in text.splitlines():
            if line.startswith(f"tailrace_{name}{{core=\"0\"}}"):
                return float(line.split()[-1])
        raise SystemExit(f"bench: no metric {name}")

    def load(self, command, may_fail=False, **options):
        arguments = [program("tailrace_load"), command, "--address", self.address,
                     "--broker-pid", str(self.process.pid), *self.client]
        for name, value in options.items():
            arguments += ["--" + name.replace("_", "-"), str(value)]
        return run_json(arguments, may_fail)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self):
        text = first_line_with(f"/proc/{self.process.pid}/status", "VmRSS")
        return int(text.split()[0]) / 1024


def need(*names):
    for name in names:
        if program(name) is None:
            raise SystemExit(f"bench: {name} was not built in {BUILD}; tools/dev bench builds it")


def stop_on_signals():
    """Turns SIGTERM into the exception that cleans up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
