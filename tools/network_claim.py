"""One run at a time has the network of tools/dev run, and what a run that was killed has left is
known: a file in /run, locked as long as its process lives, says it."""
import fcntl
import json
import os
import time

FOLDER = "/run"
STOP_SECONDS_MAX = 60


def open_locked(path):
    """The open file, ours alone until it is closed, or None: a living process has it."""
    # Of root alone: whoever may read it may lock it.
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+",
                     encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def read(file):
    """What is in it; a file that was cut short says nothing."""
    file.seek(0)
    try:
        found = json.loads(file.read() or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write(file, state):
    file.seek(0)
    file.truncate()
    file.write(json.dumps(state) if state else "")
    file.flush()


def started_at(pid):
    """Tells a process from a later one with its number; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else fields[19]


class Taken(Exception):
    """Another has it; the text says who."""


class Claim:
    """`with Claim() as claim`: the network is ours. claim.left: what a killed run wrote with
    note(), until it is taken care of."""

    def __init__(self):
        # One in each network namespace, where the devices' names are its own.
        place = os.stat("/proc/self/ns/net").st_ino
        self.path = os.path.join(FOLDER, f"tailrace-run-{place}")
        self.file = None
        self.left = {}

    def __enter__(self):
        self.file = open_locked(self.path)
        if self.file is None:
            with open(self.path, encoding="utf-8") as file:
                owner = read(file).get("run", "?")
            raise Taken(f"another tools/dev run (process {owner}) has the network: stop it first")
        self.left = read(self.file)
        return self

    def __exit__(self, kind, *_):
        # What may be left after an error, the next one looks for.
        if kind is None:
            write(self.file, {})
        self.file.close()

    def note(self, **state):
        self.left.update(state, run=os.getpid())
        write(self.file, self.left)

    def note_broker(self, pid):
        self.note(broker=[pid, started_at(pid)])

    def wait_for_broker(self, say):
        """Of a run that was killed: it was told to stop when that died. Why not to go on, or
        None."""
        pid, start = self.left.get("broker", [0, None])
        if start is None or started_at(pid) != start:
            return None
        say(f"waiting until the broker of a run that was killed (process {pid}) has stopped")
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while started_at(pid) == start:
            if time.monotonic() > deadline:
                return f"it does not: kill {pid}"
            time.sleep(0.05)
        return None
