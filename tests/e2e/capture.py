"""Packet captures of a broker that does its own TCP/IP: what tshark reads from them while kcat
writes and reads, one capture at a time, and readers that go away."""
import os
import shutil
import signal
import socket
import subprocess
import time

import network
import traces
from broker import Broker, free_port
from harness import Case, Skip, expect, expect_equal, run_client

RECORDS = 20_000


def start(context):
    """A broker whose admin server is there; the caller stops it."""
    address = f"127.0.0.1:{free_port()}"
    return Broker(context.program, context.folder, admin=address).start()


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f"{program} is not installed; tools/dev setup test installs it")


def begin(context, broker, path, *options, **more):
    """A capture that has begun: its process."""
    command = [context.program, "net", "capture", path, "--admin", broker.admin, *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **more)
    if path != "-":
        deadline = time.monotonic() + 10
        while not os.path.exists(path) or os.path.getsize(path) == 0:
            expect(process.poll() is None and time.monotonic() < deadline, "no capture began")
            time.sleep(0.01)
    return process


def finish(process, seconds_max=20):
    """Ctrl-C, and what it said."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=seconds_max)
    expect_equal(process.returncode, 0, f"exit code of the capture, which said {said!r}")
    return said


def kcat(broker, *arguments, **options):
    command = ["kcat", "-q", "-b", broker.address, "-t", "captured", "-p", "0", *arguments]
    return run_client(command, "kcat", 60, **options).stdout


def refused(context, broker, *options):
    done = subprocess.run([context.program, "net", "capture", os.path.join(context.folder, "no"),
                           "--admin", broker.admin, *options], capture_output=True, text=True,
                          timeout=20, check=False)
    expect_equal(done.returncode, 1, "exit code of a capture that is refused")
    return done.stderr


def while_kcat_works(context):
    """tshark finds every byte of the streams, in order, and nothing wrong with our frames."""
    need("kcat", "tshark")
    broker = start(context)
    try:
        path = os.path.join(context.folder, "whole.pcapng")
        capture = begin(context, broker, path)
        lines = b"".join(b"record %d of the capture\n" % n for n in range(RECORDS))
        kcat(broker, "-P", "-X", "acks=all", input=lines)
        expect_equal(kcat(broker, "-C", "-o", "beginning", "-e", "-f", "%s\n"), lines, "records")
        expect("another capture is running" in refused(context, broker), "a second one")
        said = finish(capture)
        expect("more came too fast" not in said, said)
        found = traces.look(path)
        expect(found.packets > 20, f"only {found.packets} packets in the capture")
        expect_equal(found.errors, [], "what tshark finds wrong")
        streams = traces.streams(path)
        whole = [data for data in streams if data.count(b" of the capture") == RECORDS]
        expect_equal(len(whole), 2, "streams with every record: one to, one from the broker")
        context.note(f"{found.packets} packets, {len(streams)} streams; {said.splitlines()[-1]}")
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()


def limits_and_pipes(context):
    """--seconds, --packets and --snap end and cut it; tshark reads it from a pipe."""
    need("kcat", "tshark")
    broker = start(context)
    try:
        path = os.path.join(context.folder, "short.pcapng")
        begun = time.monotonic()
        capture = begin(context, broker, path, "--seconds", "2", "--snap", "128")
        kcat(broker, "-P", input=b"x" * 50_000 + b"\n")
        capture.communicate(timeout=20)
        expect(1.5 < time.monotonic() - begun < 10, "--seconds 2")
        expect_equal(capture.returncode, 0, "exit code")
        lengths = [[int(n) for n in line.split()]
                   for line in traces.fields(path, "frame.cap_len", "frame.len")]
        expect(max(kept for kept, _ in lengths) == 128 and max(n for _, n in lengths) > 128,
               "--snap 128 keeps 128 bytes")
        capture = begin(context, broker, "-", "--packets", "8", stdout=subprocess.PIPE)
        reader = subprocess.Popen(["tshark", "-n", "-l", "-i", "-"], stdin=capture.stdout,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        capture.stdout.close()
        deadline = time.monotonic() + 30
        while reader.poll() is None and time.monotonic() < deadline:
            kcat(broker, "-P", input=b"".join(b"%d\n" % n for n in range(100)))
        lines, _ = reader.communicate(timeout=10)
        expect_equal(len(lines.splitlines()), 8, "packets that tshark read from the pipe")
        expect_equal(capture.wait(10), 0, "exit code of a capture into a pipe")
        expect("snap: found \"5\"" in refused(context, broker, "--snap", "5"), "--snap 5")
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()


def readers_that_go_away(context):
    """A reader that is killed, or reads nothing, or a broker that stops: the capture ends."""
    need("kcat")
    broker = start(context)
    try:
        path = os.path.join(context.folder, "killed.pcapng")
        capture = begin(context, broker, path)
        capture.kill()
        capture.wait()
        host, port = broker.admin.split(":")
        with socket.create_connection((host, int(port))) as stubborn:
            stubborn.sendall(b"GET /capture HTTP/1.0\r\n\r\n")
            stubborn.recv(1)
            before = broker.memory_kib()
            lines = b"".join(b"%d %s\n" % (n, b"y" * 1000) for n in range(30_000))
            kcat(broker, "-P", input=lines)
            grown = broker.memory_kib() - before
            expect(grown < 64 * 1024, f"a reader that reads nothing costs {grown} KiB")
        time.sleep(0.5)
        in_silence(context, broker)
        capture = begin(context, broker, os.path.join(context.folder, "last.pcapng"))
        kcat(broker, "-P", input=b"last\n")
        expect_equal(broker.stop(), 0, "exit code")
        capture.communicate(timeout=20)
        expect_equal(capture.returncode, 0, "exit code of a capture whose broker stops")
    finally:
        broker.kill9()


def begin_into_pipe(context, broker):
    """The node may take a moment to see that the reader before has gone."""
    deadline = time.monotonic() + 10
    while True:
        capture = begin(context, broker, "-", stdout=subprocess.PIPE)
        head = os.read(capture.stdout.fileno(), 4096)
        if head[:4] == b"\x0a\x0d\x0d\x0a":
            return capture
        capture.stdout.close()
        said = capture.communicate(timeout=10)[1]
        expect("there is one at a time" in said and time.monotonic() < deadline,
               f"no capture began: {head!r} {said!r}")
        time.sleep(0.05)


def in_silence(context, broker):
    """Behind a pipe, while there is nothing to write; and the next capture may begin."""
    for _ in range(2):
        capture = begin_into_pipe(context, broker)
        # Not with the first bytes; and nothing but neighbours' questions comes, if anything.
        time.sleep(0.5)
        capture.stdout.close()
        begun = time.monotonic()
        said = capture.stderr.read()
        expect_equal(capture.wait(10), 0, f"exit code of the capture, which said {said!r}")
        took = time.monotonic() - begun
        expect(took < 2, f"a capture without a reader ended after {took:.1f} s")


def kernel_sockets_have_none(context):
    broker = start(context)
    try:
        expect("tcpdump" in refused(context, broker), "a broker with the kernel's sockets")
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()


def cases(_options):
    stories = [kernel_sockets_have_none] if network.current.name == "kernel" else [
        while_kcat_works, limits_and_pipes, readers_that_go_away]
    return [Case(run.__name__, run, own_broker=True, seconds_max=120) for run in stories]
