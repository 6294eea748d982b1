"""What a case module needs: Case, Skip, expect, run_client."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get("TAILRACE_E2E_CACHE", os.path.expanduser("~/.cache/tailrace-e2e"))
CLIENT_SECONDS_MAX = 240


class Skip(Exception):
    """Raised by a case that cannot run here; the text is the reason."""


class Failed(Exception):
    pass


class Case:
    """`run(context)` raises on failure. Cases of one module share a broker, unless `own_broker`:
    then `context.broker` is None and the case starts what it needs in `context.folder`.
    `is_long`: it runs with --long or under its whole name."""

    def __init__(self, name, run, own_broker=False, seconds_max=300, is_long=False):
        self.name = name
        self.run = run
        self.own_broker = own_broker
        self.seconds_max = seconds_max
        self.is_long = is_long


class Context:
    def __init__(self, program, folder, broker, options):
        self.program = program
        self.folder = folder
        self.broker = broker
        self.options = options
        self.notes = []

    def note(self, text):
        """One line beside the case's result: figures, versions."""
        self.notes.append(text)


def expect(good, what):
    if not good:
        raise Failed(what)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Failed(f"{what}: found {found!r}, wanted {wanted!r}")


def run_client(command, what, seconds_max=CLIENT_SECONDS_MAX, code=0, **options):
    """Runs a foreign program to its end; its output. Anything but exit code `code` fails."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds_max, check=False,
                              **options)
    except subprocess.TimeoutExpired as error:
        tail = ((error.stdout or b"") + (error.stderr or b"")).decode(errors="replace")[-3000:]
        raise Failed(f"{what}: not done after {seconds_max} s\n{tail}") from error
    if code is not None and done.returncode != code:
        text = (done.stdout + done.stderr).decode(errors="replace")
        raise Failed(f"{what}: exit code {done.returncode}\n{text[-4000:]}")
    return done


def finish_client(context, command, what, **options):
    """Runs a client program that tells its version first and OK last."""
    text = run_client(command, what, **options).stdout.decode()
    lines = text.strip().splitlines()
    expect(lines and lines[-1] == "OK", f"{what} ended without OK: {text[-2000:]}")
    context.note(lines[0])
