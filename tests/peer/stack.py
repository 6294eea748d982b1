"""The program with our TCP/IP (net_peer), and what tshark thinks of what it sent."""
import os
import queue
import subprocess
import threading
import time

from kernel_side import V4, V6, Wrong, expect
from namespace import DEVICE

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "build/release/tests/peer/net_peer")
READY_SECONDS_MAX = 20


class Stack:
    """One run of net_peer, with a capture; of its options those of net_peer.cc."""

    def __init__(self, program, capture, **options):
        words = [f"{key}={value}" for key, value in options.items()]
        self.capture = capture
        self.process = subprocess.Popen(
            [program, f"device={DEVICE}", f"address={V4}/24,{V6}/64", f"capture={capture}", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.verdicts = {}
        self.counts = {}
        self.lock = threading.Lock()
        self.told = threading.Condition(self.lock)
        self.is_ready = False
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        with self.lock:
            self.told.wait_for(lambda: self.is_ready or self.process.poll() is not None,
                               READY_SECONDS_MAX)
        if not self.is_ready:
            self.process.kill()
            raise Wrong("net_peer did not start")

    def read(self):
        for line in self.process.stdout:
            words = line.strip().split(" ", 2)
            with self.lock:
                if words[0] == "ready":
                    self.is_ready = True
                elif words[0] == "talk":
                    self.verdicts[words[1]] = words[2] if len(words) > 2 else ""
                elif words[0] == "count":
                    self.counts[words[1]] = int(words[2] == "true" or
                                                (words[2] != "false" and words[2]))
                self.told.notify_all()
        with self.lock:
            self.told.notify_all()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def call(self, address, port, line, local_port=0):
        """Our stack connects."""
        host = f"[{address}]" if ":" in address else address
        self.say(f"connect {host}:{port} {local_port} {line}")

    def verdict(self, name, seconds_max=60):
        """How a talk ended."""
        with self.lock:
            self.told.wait_for(lambda: name in self.verdicts or self.process.poll() is not None,
                               seconds_max)
            return self.verdicts.get(name, "has not ended")

    def expect_end(self, name, wanted="ok", seconds_max=60):
        found = self.verdict(name, seconds_max)
        expect(found == wanted, f"talk {name} ended with {found!r}, not {wanted!r}")

    def stop(self):
        """Clean end; the capture is whole."""
        if self.process.poll() is None:
            self.say("quit")
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reader.join()
        expect(self.process.returncode == 0, f"net_peer: exit code {self.process.returncode}")
        expect(self.counts.get("capture_ended", 0), "the capture has no end")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass


def run_together(works, seconds_max=150):
    """Runs {name: function} each on a thread of its own; what went wrong, as texts."""
    wrong = {}

    def guarded(name, work):
        try:
            work()
        except (OSError, Wrong) as error:
            wrong[name] = f"{name}: {type(error).__name__} {error}"

    threads = {name: threading.Thread(target=guarded, args=(name, work), daemon=True)
               for name, work in works.items()}
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + seconds_max
    for name, thread in threads.items():
        thread.join(max(0, deadline - time.monotonic()))
        if thread.is_alive():
            wrong.setdefault(name, f"{name}: not done after {seconds_max} s")
    return list(wrong.values())
