"""`tools/dev`, and the broker that `tools/dev run` starts: what is typed, and how it ends."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib

import network
import tap_network
from broker import free_port, write_profile
from harness import ROOT, Case, Skip, expect, expect_equal

RUN_SECONDS_MAX = 120


class Run:
    """tools/run_broker.py with a directory of its own; what it says goes into a file."""

    def __init__(self, context, *more):
        if shutil.which("kcat") is None:
            raise Skip("kcat is not installed")
        self.port = free_port()
        self.log_path = os.path.join(context.folder, f"run{self.port}.log")
        command = [sys.executable, os.path.join(ROOT, "tools", "run_broker.py"),
                   "--program", os.path.abspath(context.program),
                   "--data", os.path.join(context.folder, f"data{self.port}"),
                   "--profile", write_profile(os.path.join(context.folder, "run.toml")),
                   "--listen", f"127.0.0.1:{self.port}",
                   "--admin", f"127.0.0.1:{free_port()}", *more]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for(self, words):
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while words not in self.said():
            expect(self.process.poll() is None and time.monotonic() < deadline,
                   f"\"{words}\" was not said:\n{self.said()[-2000:]}")
            time.sleep(0.05)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def expect_gone(self):
        deadline = time.monotonic() + 60
        while self.listens():
            expect(time.monotonic() < deadline, "the broker is still there")
            time.sleep(0.1)


def demonstration_once(context):
    with Run(context, "--once") as run:
        code = run.process.wait(RUN_SECONDS_MAX)
        expect_equal(code, 0, f"exit code\n{run.said()[-2000:]}")
        expect_equal(run.said().count("is the same"), 5, "codecs that came back")
        run.expect_gone()


# In a network of its own, where no other namespace of the same name is in the way.
OWN_PLACE = """
mount -t tmpfs none /run && mkdir /run/netns
python3 tools/run_broker.py --net dpdk --once --data "$1" --program "$2" &&
echo "left: $(ls /run/netns) $(ls /sys/class/net | grep tailrace)"
"""


def demonstration_dpdk(context):
    missing = network.missing("dpdk")
    if missing is not None:
        raise Skip(missing)
    with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as file:
        pages = file.read()
    done = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", OWN_PLACE, "sh",
                           os.path.join(context.folder, "data"), context.program], text=True,
                          cwd=ROOT, capture_output=True, timeout=RUN_SECONDS_MAX, check=False)
    said = done.stdout + done.stderr
    expect_equal(done.returncode, 0, f"exit code\n{said[-2000:]}")
    expect_equal(said.count("is the same"), 5, "codecs that came back")
    expect("net_af_xdp" in said, f"the driver is not told\n{said[-2000:]}")
    expect("left:  \n" in said, f"something is left\n{said[-300:]}")
    with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as file:
        expect_equal(file.read(), pages, "huge pages afterwards")


# Runs that are killed with their broker, or alone; the next one of either kind clears up. In a
# network and a /run of its own.
KILLED = """
import os, signal, subprocess, sys, time

data, program = sys.argv[1:]
subprocess.run("mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up", shell=True,
               check=True)
command = [sys.executable, "tools/run_broker.py", "--data", data, "--program", program, "--net"]

def pages():
    with open("/proc/sys/vm/nr_hugepages") as file:
        return int(file.read())

def once(kind):
    done = subprocess.run([*command, kind, "--once"], text=True, stderr=subprocess.STDOUT,
                          stdout=subprocess.PIPE, timeout=100)
    print(done.stdout, f"{kind} ended with {done.returncode}", flush=True)
    found = [name for name in os.listdir("/sys/class/net") if name.startswith("tailrace")]
    print(f"after {kind}: {os.listdir('/run/netns')} {found} {pages() - before} pages", flush=True)

before = pages()
for kind, then, with_broker in [("dpdk", "tap", True), ("dpdk", "dpdk", False),
                                ("tap", "dpdk", False)]:
    run = subprocess.Popen([*command, kind], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
    for line in run.stdout:
        if "Talk to it" in line:
            break
    if with_broker:
        print(subprocess.run([*command, then, "--once"], text=True, stdout=subprocess.PIPE).stdout)
        with open(f"/proc/{run.pid}/task/{run.pid}/children") as file:
            for broker in file.read().split():
                os.kill(int(broker), signal.SIGSTOP)   # It cannot even end in order.
                run.kill()
                os.kill(int(broker), signal.SIGKILL)
    run.kill()
    run.wait()
    print(f"{kind} killed: {os.listdir('/run/netns')} {pages() - before} pages", flush=True)
    once(then)
"""


def killed_with_a_network(context):
    for kind in ("tap", "dpdk"):
        missing = network.missing(kind)
        if missing is not None:
            raise Skip(missing)
    done = subprocess.run(["unshare", "--net", "--mount", sys.executable, "-c", KILLED,
                           os.path.join(context.folder, "data"), context.program], text=True,
                          cwd=ROOT, capture_output=True, timeout=4 * RUN_SECONDS_MAX, check=False)
    said = done.stdout + done.stderr
    expect_equal(done.returncode, 0, f"exit code\n{said[-3000:]}")
    expect("another tools/dev run (process" in said, f"a second one beside it\n{said[-3000:]}")
    for words, times in [("ended with 0", 3), ("is the same", 15), (": [] [] 0 pages", 3)]:
        expect_equal(said.count(words), times, f"\"{words}\" in\n{said[-6000:]}")
    expect_equal(said.count("dpdk killed: ['tailrace'] "), 2, "nothing was left to clear away")


def ends_in_order(context):
    """Ctrl-C, a polite kill, and a terminal that is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Run(context) as run:
            run.wait_for("Talk to it")
            expect(run.listens(), "the broker does not listen")
            run.process.send_signal(number)
            code = run.process.wait(RUN_SECONDS_MAX)
            expect_equal(code, 0, f"exit code after {number.name}\n{run.said()[-2000:]}")
            expect("the broker stopped with code 0" in run.said(), run.said()[-2000:])
            expect(not run.listens(), f"the broker outlives {number.name}")


def killed_parent(context):
    """Whoever kills the script does not leave a broker behind."""
    with Run(context) as run:
        run.wait_for("Talk to it")
        run.process.kill()
        run.process.wait()
        run.expect_gone()


def dev_answers(_):
    """Help names every command; what is no command ends with 2 and says what there is."""
    dev = os.path.join(ROOT, "tools", "dev")

    def call(*words):
        return subprocess.run([dev, *words], capture_output=True, text=True, timeout=60,
                              check=False)

    done = call("help")
    expect_equal(done.returncode, 0, "help")
    for command in ["setup", "build", "run", "test", "sim", "fuzz", "bench", "fmt", "tidy",
                    "path"]:
        expect(f"tools/dev {command}" in done.stdout, f"help has no {command}")
        expect_equal(call(command, "--help").returncode, 0, f"{command} --help")
    for words in [("nonsense",), ("build", "nonsense"), ("setup", "nonsense"),
                  ("test", "nonsense"), ("run", "--nonsense")]:
        expect_equal(call(*words).returncode, 2, f"tools/dev {' '.join(words)}")


def tap_profile(context):
    """However the header of [network] is written, there is one such table, with the tap's keys."""
    for text in ["[network]\nport_max = 1\n", "[network]   # of this machine\nport_max = 1\n",
                 "  [ network ]\ntransport=\"uring\"\nport_max = 1", "[threads]\ncores = 2"]:
        source = os.path.join(context.folder, "source.toml")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        made = tap_network.write_profile(source, source + ".tap", "tr0", "10.78.0.1/24")
        with open(made, "rb") as file:
            profile = tomllib.load(file)
        wanted = {"transport": "tap", "device": "tr0", "addresses": "10.78.0.1/24"}
        if "port_max" in text:
            wanted["port_max"] = 1
        expect_equal(profile["network"], wanted, f"[network] of {text!r}")
        expect_equal(profile.get("threads", {"cores": 2}), {"cores": 2}, "cores")


# In a network namespace of its own: a device of an earlier run, one in use (with several queues,
# with one), one that is no tap.
STALE = """
import os
import sys
import tap_network as tap

tap.make("tr0", "10.78.0.2/24")
assert tap.clear("tr0") is None, "stale"
assert tap.clear("tr0") is None, "none"
tap.make("tr0", "10.78.0.2/24")
with tap.claim("tr0"):
    print(tap.clear("tr0"))
assert tap.clear("tr0") is None, "no longer in use"
os.system("ip tuntap add dev tr1 mode tap")
assert tap.clear("tr1") is None, "stale, with one queue"
os.system("ip tuntap add dev tr1 mode tap")
with open("/dev/net/tun", "r+b", buffering=0) as tun:
    tap.attach(tun, "tr1")
    print(tap.clear("tr1"))
assert tap.clear("tr1") is None, "no longer in use"
print(tap.clear("lo"))
"""


def tap_device_left_behind(_):
    missing = network.missing("tap")
    if missing is not None:
        raise Skip(missing)
    done = subprocess.run(["unshare", "--net", sys.executable, "-c", STALE], text=True,
                          cwd=os.path.join(ROOT, "tools"), capture_output=True, timeout=60,
                          check=False)
    expect_equal(done.returncode, 0, f"exit code\n{done.stderr}")
    for device in ["tr0", "tr1", "lo"]:
        expect(f"the device {device} is there already and cannot be taken over" in done.stdout and
               f"ip link delete {device}" in done.stdout, f"{device}: {done.stdout}")


CASES = [Case(run.__name__, run, own_broker=True) for run in [
    dev_answers, tap_profile, tap_device_left_behind, demonstration_once,
    demonstration_dpdk, killed_with_a_network, ends_in_order, killed_parent]]
