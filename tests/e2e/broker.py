"""One tailrace process under test: start, wait until ready, stop, kill -9, and what it said."""
import os
import random
import signal
import socket
import subprocess
import time

import network

READY_SECONDS_MAX = 90
STOP_SECONDS_MAX = 60

# Formatted in a moment, groups begin soon; everything else as in hw-profiles/laptop.toml.
PROFILE = """
[threads]
cores = {cores}
[network]
connections_max = 2048
[storage]
wal_bytes = 67108864
cache_bytes = 33554432
dirty_bytes_max = 16777216
free_bytes_min = {free_bytes_min}
checkpoint_interval_s = {checkpoint_s}
[groups]
initial_delay_ms = 500
"""


# Of brokers whose case says nothing else (run.py --cores).
default_cores = 1


class BrokerFailed(Exception):
    pass


def free_port():
    """Below the range that the kernel gives to connecting sockets: the port must still be ours
    after a restart of the broker."""
    for _ in range(100):
        port = random.randrange(20000, 32000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise BrokerFailed("no free port from 20000 to 32000")


def write_profile(path, cores=None, free_bytes_min=67108864, checkpoint_s=5):
    with open(path, "w", encoding="utf-8") as file:
        file.write(PROFILE.format(cores=cores or default_cores, free_bytes_min=free_bytes_min,
                                  checkpoint_s=checkpoint_s))
    return path


class Broker:
    """Its data directory and port stay over restarts; `profile` may be changed in between."""

    def __init__(self, program, folder, profile=None, data=None, admin=""):
        self.program = program
        self.folder = folder
        self.profile = profile or write_profile(os.path.join(folder, "small.toml"))
        self.data = data or os.path.join(folder, "data")
        self.admin = admin
        self.port = free_port()
        self.log_path = os.path.join(folder, "broker.log")
        self.process = None
        self._log_start = 0

    @property
    def address(self):
        return f"{network.current.host_of(self.port)}:{self.port}"

    def command(self):
        return [self.program, "serve", "--data", self.data, "--listen", self.address,
                "--admin", self.admin, "--profile",
                network.current.profile(self.port, self.profile)]

    def start(self, wait=True):
        assert self.process is None or self.process.poll() is not None
        self._log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def said(self):
        """What the process of the last start wrote."""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait_ready(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while "tailrace: ready" not in self.said():
            if self.process.poll() is not None:
                raise BrokerFailed(f"the broker ended at start, code {self.process.returncode}")
            if time.monotonic() > deadline:
                raise BrokerFailed(f"the broker is not ready after {READY_SECONDS_MAX} s")
            time.sleep(0.02)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Clean stop; the exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired as error:
                self.kill9()
                raise BrokerFailed(f"the broker did not stop in {STOP_SECONDS_MAX} s") from error
        return self.process.returncode if self.process is not None else 0

    def kill9(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def memory_kib(self, key="VmRSS"):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        return 0

    def log_tail(self, lines=40):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])
