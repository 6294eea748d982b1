"""The program as an operator meets it: start, stop, mistakes, a full disk."""
import os
import re
import subprocess
import time
import urllib.request

from broker import Broker, free_port, write_profile
from harness import Case, Skip, expect, expect_equal, run_client
from wire import Connection, batch, records

DISK_MIB = 700
RETRIABLE = {5, 6, 7, 56}  # Codes that clients try again on.


def start(context, **options):
    return Broker(context.program, context.folder, **options).start()


def refuses(broker, *words):
    """The start ends by itself, with a message that holds all of `words`."""
    broker.start(wait=False)
    try:
        code = broker.process.wait(30)
    except subprocess.TimeoutExpired:
        broker.kill9()
        expect(False, "it started")
    expect(code == 1, f"exit code {code}, wanted 1")
    for word in words:
        expect(word in broker.said(), f"no {word!r} in: {broker.said()}")


def missing_words(context):
    """What must be named and was not is told with an example."""
    for words, wanted in [(["serve"], "tailrace serve --data ./data"),
                          (["dump"], "tailrace dump ./data"), ([], "tailrace dump ./data")]:
        done = subprocess.run([context.program, *words], capture_output=True, timeout=20,
                              check=False)
        expect_equal(done.returncode, 1, f"exit code of {words}")
        expect(wanted.encode() in done.stderr, f"{words}: {done.stderr!r}")


def listens_on_a_name(context):
    broker = Broker(context.program, context.folder)
    command = [word.replace("127.0.0.1:", "localhost:") for word in broker.command()]
    broker.command = lambda: command
    try:
        broker.start()
        expect(f"listening on 127.0.0.1:{broker.port}" in broker.said(), broker.said())
        with Connection(broker.port) as peer:
            peer.api_versions()
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()


def many_bad_clients(context):
    """Three thousand that make the same mistake are a few lines, with their address."""
    broker = start(context)
    try:
        for _ in range(3000):
            with Connection(broker.port) as peer:
                peer.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
                expect(peer.closed_by_peer(), "the connection is left open")
        expect_equal(broker.stop(), 0, "exit code")
        lines = [line for line in broker.said().splitlines() if "client 127.0.0.1: " in line]
        context.note(f"{len(lines)} lines")
        expect(len(lines) < 100, f"{len(lines)} lines")
        held = [re.search(r"(\d+) more like this", line) for line in lines]
        expect_equal(sum(int(one[1]) if one else 1 for one in held), 3000, "clients told of")
    finally:
        broker.kill9()


def clean_stop(context):
    broker = start(context)
    try:
        begun = time.monotonic()
        expect_equal(broker.stop(), 0, "exit code")
        expect(time.monotonic() - begun < 15, "the stop took too long")
        broker.start()
        expect_equal(broker.stop(), 0, "exit code of the second stop")
    finally:
        broker.kill9()


def default_profile(context):
    """Without --profile the laptop profile serves; it is formatted and gives back a record."""
    broker = Broker(context.program, context.folder)
    command = [context.program, "serve", "--data", broker.data, "--listen", broker.address,
               "--admin", ""]
    broker.command = lambda: command
    try:
        begun = time.monotonic()
        broker.start()
        context.note(f"first start {time.monotonic() - begun:.1f} s")
        with Connection(broker.port) as peer:
            expect_equal(peer.create_topic("one"), 0, "create topic")
            expect_equal(peer.produce("one", 0, batch([b"1"])), (0, 0), "produce")
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()


def second_process_refused(context):
    first = start(context)
    other = os.path.join(context.folder, "other")
    os.makedirs(other)
    try:
        refuses(Broker(context.program, other, data=first.data), first.data, "in use")
        with Connection(first.port) as peer:
            peer.api_versions()
        expect_equal(first.stop(), 0, "exit code of the first")
    finally:
        first.kill9()


def taken_port_refused(context):
    first = start(context)
    other = os.path.join(context.folder, "other")
    os.makedirs(other)
    second = Broker(context.program, other)
    second.port = first.port
    try:
        refuses(second, str(first.port))
    finally:
        first.kill9()


def nonsense_profiles(context):
    for name, text, words in [
            ("syntax", "[threads\ncores = 1", ["syntax.toml:1"]),
            ("unknown", "[threads]\ncore = 1", ["unknown.toml:2", "core"]),
            ("range", "[threads]\ncores = 0", ["range.toml:2", "cores", "1"]),
            ("type", "[threads]\ncores = \"two\"", ["type.toml:2", "cores"]),
            ("conflict", "[storage]\nwal_bytes = 16777216", ["dirty_bytes_max", "wal_bytes"])]:
        path = os.path.join(context.folder, name + ".toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        refuses(Broker(context.program, context.folder, profile=path), *words)
    missing = os.path.join(context.folder, "missing.toml")
    refuses(Broker(context.program, context.folder, profile=missing), "missing.toml")
    expect(not os.path.exists(os.path.join(context.folder, "data", "tailrace")),
           "a refused start has formatted the data directory")


def foreign_directory(context):
    data = os.path.join(context.folder, "data")
    os.makedirs(data)
    with open(os.path.join(data, "letter.txt"), "w", encoding="utf-8") as file:
        file.write("mine\n")
    refuses(Broker(context.program, context.folder), data, "letter.txt")
    expect_equal(os.listdir(data), ["letter.txt"], "files in the foreign directory")


def damaged_meta_file(context):
    broker = start(context)
    broker.stop()
    with open(os.path.join(broker.data, "tailrace"), "r+b") as file:
        file.seek(20)
        file.write(b"\xa5\x5a\xa5\x5a")
    refuses(broker, broker.data)


def status_and_metrics(context):
    port = free_port()
    broker = start(context, admin=f"127.0.0.1:{port}")
    try:
        with Connection(broker.port) as peer:
            peer.create_topic("seen")
            peer.produce("seen", 0, batch([b"1", b"2"]))
        done = run_client([context.program, "status", "--admin", f"127.0.0.1:{port}"], "status", 20)
        expect(b"up " in done.stdout and b"2 records" in done.stdout, f"status: {done.stdout!r}")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        expect("tailrace_requests_total" in text, f"metrics: {text[:500]}")
        broker.stop()
        run_client([context.program, "status", "--admin", f"127.0.0.1:{port}"], "status", 20,
                   code=1)
    finally:
        broker.kill9()


def dump_of_a_directory(context):
    broker = start(context)
    try:
        with Connection(broker.port) as peer:
            peer.create_topic("dumped")
            peer.produce("dumped", 0, batch([b"x" * 1000] * 100))
        expect_equal(broker.stop(), 0, "exit code")
        done = run_client([context.program, "dump", "--records", broker.data], "dump", 60)
        expect(b"data directory" in done.stdout and b"PROBLEM" not in done.stdout,
               f"dump: {done.stdout[:2000]!r}")
        broker.start()
        broker.kill9()
        run_client([context.program, "dump", broker.data], "dump after a kill", 60, code=None)
    finally:
        broker.kill9()


def version_and_help(context):
    for arguments, word in [(["--version"], b"tailrace"), (["--help"], b"serve"),
                            (["serve", "--help"], b"--data")]:
        done = run_client([context.program, *arguments], str(arguments), 20)
        expect(word in done.stdout, f"{arguments}: {done.stdout!r}")
    expect(run_client([context.program], "no arguments", 20, code=None).returncode != 0,
           "no arguments at all are fine")


# --- A full disk, on a small file system of its own.
class SmallDisk:
    """A loop-mounted ext4 or, where that is not allowed, a tmpfs."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "disk")
        self.image = os.path.join(folder, "disk.img")
        self.kind = ""

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("mounting a small file system needs root")
        os.makedirs(self.path)
        with open(self.image, "wb") as file:
            file.truncate(DISK_MIB << 20)
        tries = [("ext4", ["mkfs.ext4", "-q", "-F", self.image],
                  ["mount", "-o", "loop", self.image, self.path]),
                 ("tmpfs", ["true"],
                  ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", self.path])]
        for kind, make, mount in tries:
            if quiet(make) and quiet(mount):
                self.kind = kind
                return self
        raise Skip("neither a loop device nor a tmpfs can be mounted here")

    def __exit__(self, *_):
        quiet(["umount", self.path]) or quiet(["umount", "-l", self.path])

    def free_mib(self):
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize >> 20


def quiet(command):
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def fill_until_refused(peer, disk):
    """Number of batches acknowledged and the error that ended it."""
    data = batch([b"f" * 900_000])
    for count in range(2 * DISK_MIB):
        error, offset = peer.produce("full", 0, data)
        if error:
            return count, error
        expect_equal(offset, count, "offset")
    raise Skip(f"the disk was never full: {disk.free_mib()} MiB are free")


def produce_until_accepted(peer, topic, seconds):
    deadline = time.monotonic() + seconds
    while True:
        error, _ = peer.produce(topic, 0, batch([b"again"]))
        if error == 0:
            return
        expect(error in RETRIABLE, f"error {error} after space came back")
        expect(time.monotonic() < deadline, f"still error {error} {seconds} s after the delete")
        time.sleep(0.2)


def disk_full(context, free_bytes_min=100 << 20):
    """Produce is refused with a retriable error, reads go on, a topic's deletion frees space."""
    with SmallDisk(context.folder) as disk:
        context.note(disk.kind)
        profile = write_profile(os.path.join(context.folder, "full.toml"),
                                free_bytes_min=free_bytes_min)
        broker = start(context, profile=profile, data=os.path.join(disk.path, "data"))
        try:
            with Connection(broker.port, timeout=60) as peer:
                expect_equal(peer.create_topic("full"), 0, "create topic")
                expect_equal(peer.create_topic("other"), 0, "create topic")
                expect_equal(peer.produce("other", 0, batch([b"kept"])), (0, 0), "produce")
                count, error = fill_until_refused(peer, disk)
                context.note(f"refused after {count} batches with error {error}, "
                             f"{disk.free_mib()} MiB free")
                expect(error in RETRIABLE, f"error {error} is not retriable")
                expect_equal(records(peer.fetch("other", 0, 0)[2])[0], [(0, b"kept")], "fetch")
                last = records(peer.fetch("full", 0, count - 1)[2])[0]
                expect_equal([offset for offset, _ in last], [count - 1], "last acked record")
                expect_equal(peer.delete_topic("full"), 0, "delete topic")
                produce_until_accepted(peer, "other", 60)
            expect_equal(broker.stop(), 0, "exit code")
            broker.start()
            with Connection(broker.port) as peer:
                found = [value for _, value in records(peer.fetch("other", 0, 0)[2])[0]]
                expect_equal((found[0], found[-1]), (b"kept", b"again"), "records after restart")
            expect_equal(broker.stop(), 0, "exit code")
        finally:
            broker.kill9()


def disk_full_to_the_last_byte(context):
    """The same when no reserve is kept, so that writes themselves meet the full disk."""
    disk_full(context, free_bytes_min=0)


CASES = [Case(run.__name__, run, own_broker=True) for run in [
    version_and_help, missing_words, listens_on_a_name, many_bad_clients, clean_stop,
    default_profile, second_process_refused, taken_port_refused,
    nonsense_profiles, foreign_directory, damaged_meta_file, status_and_metrics,
    dump_of_a_directory, disk_full, disk_full_to_the_last_byte]]
