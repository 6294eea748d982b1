"""Hostile and overlarge peers: the broker refuses or waits, others go on, memory stays bounded."""
import random
import resource
import socket
import struct
import time

from harness import Case, Skip, expect, expect_equal
from wire import FETCH, PRODUCE, Connection, batch, records

REQUEST_BYTES_MAX = 104857600  # request_bytes_max of the profile
IDLE_CONNECTIONS = 1000
# What peers may add to the resident memory: requests, what waits for them, and slack.
GROWTH_KIB_MAX = (128 + 64 + 32) * 1024


def connect(context, timeout=30):
    return Connection(context.broker.port, timeout)


def expect_healthy(context, seconds_max=5):
    """A new client gets through, soon."""
    begun = time.monotonic()
    with connect(context) as peer:
        peer.api_versions()
        if peer.list_offset("healthy", 0, -1)[0] != 0:
            expect_equal(peer.create_topic("healthy"), 0, "create topic healthy")
        error, offset = peer.produce("healthy", 0, batch([b"still here"]))
        expect_equal(error, 0, "produce")
        found = records(peer.fetch("healthy", 0, offset)[2])[0]
        expect_equal(found, [(offset, b"still here")], "fetch")
    seconds = time.monotonic() - begun
    expect(seconds < seconds_max, f"a healthy client needed {seconds:.1f} s")


def wrong_lengths_close(context):
    for length in [-1, -2**31, 2**31 - 1, REQUEST_BYTES_MAX + 1, 0, 1]:
        with connect(context) as peer:
            peer.socket.sendall(struct.pack(">i", length) + b"\0")
            expect(peer.closed_by_peer(), f"length {length} leaves the connection open")
    expect_healthy(context)


def half_frames(context):
    """Two hundred peers that dribble a request byte by byte hold up nobody."""
    peers = [connect(context) for _ in range(200)]
    try:
        frames = [peer.frame(18, 0, b"") for peer in peers]
        for position in range(len(frames[0]) - 1):
            for peer, frame in zip(peers, frames):
                peer.socket.send(frame[position:position + 1])
            if position % 4 == 0:
                expect_healthy(context)
        for peer, frame in zip(peers, frames):
            peer.socket.send(frame[-1:])
        for peer in peers:
            expect_equal(peer.receive()[0], 1, "the answer to a dribbled request")
    finally:
        for peer in peers:
            peer.close()


def idle_connections(context):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < IDLE_CONNECTIONS + 100:
        if hard < IDLE_CONNECTIONS + 100:
            raise Skip(f"only {hard} open files allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = context.broker.memory_kib()
    peers = [connect(context) for _ in range(IDLE_CONNECTIONS)]
    try:
        for peer in peers[::10]:
            peer.api_versions()
        expect_healthy(context)
        grown = context.broker.memory_kib() - before
        context.note(f"{IDLE_CONNECTIONS} connections: {grown} KiB")
        expect(grown < 64 * 1024, f"{IDLE_CONNECTIONS} idle connections cost {grown} KiB")
    finally:
        for peer in peers:
            peer.close()
    expect_healthy(context)


def fill(peer, topic, count, size):
    expect_equal(peer.create_topic(topic), 0, f"create topic {topic}")
    data = batch([b"v" * size])
    for _ in range(count):
        expect_equal(peer.produce(topic, 0, data)[0], 0, "produce")


def client_that_never_reads(context):
    """Fetches by the thousand, no answer read: the broker stops reading, its memory stays."""
    with connect(context) as peer:
        fill(peer, "unread", 40, 100_000)
    before = context.broker.memory_kib()
    peers = [connect(context) for _ in range(8)]
    try:
        for peer in peers:
            peer.socket.setblocking(False)
        frames = [peer.frame(FETCH, 4, peer.fetch_body("unread", 0, 0)) for peer in peers]
        deadline = time.monotonic() + 4
        sent = 0
        while time.monotonic() < deadline:
            blocked = 0
            for peer, frame in zip(peers, frames):
                try:
                    sent += peer.socket.send(frame * 20)
                except BlockingIOError:
                    blocked += 1
                except ConnectionError:
                    blocked += 1
            if blocked == len(peers):
                time.sleep(0.1)
        grown = context.broker.memory_kib() - before
        context.note(f"{sent // len(frames[0])} fetches unread: {grown} KiB")
        expect(grown < GROWTH_KIB_MAX, f"memory grew by {grown} KiB")
        expect_healthy(context)
    finally:
        for peer in peers:
            peer.close()


def largest_request(context):
    """A request of exactly 100 MiB is read, and refused for the size of its batch."""
    before = context.broker.memory_kib()
    with connect(context, timeout=120) as peer:
        peer.create_topic("large")
        empty = peer.frame(PRODUCE, 7, peer.produce_body("large", 0, b""))
        size = REQUEST_BYTES_MAX - (len(empty) - 4)
        frame = peer.frame(PRODUCE, 7, peer.produce_body("large", 0, bytes(size)))
        expect_equal(len(frame), REQUEST_BYTES_MAX + 4, "frame")
        peer.socket.sendall(frame)
        error, _ = peer.produce_answer(peer.receive()[1], "large")
        expect(error in (2, 10, 42, 43, 87), f"error {error}")
        expect_healthy(context)
    grown = context.broker.memory_kib() - before
    context.note(f"100 MiB request: {grown} KiB kept")
    expect(grown < GROWTH_KIB_MAX, f"memory grew by {grown} KiB")


def many_large_requests(context):
    """Ten times the request memory is offered at once; others still get through."""
    before = context.broker.memory_kib()
    peers = [connect(context) for _ in range(40)]
    piece = bytes(1 << 20)
    try:
        head = struct.pack(">i", 64 << 20)
        for peer in peers:
            peer.socket.setblocking(False)
            peer.socket.send(head)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            for peer in peers:
                try:
                    peer.socket.send(piece)
                except (BlockingIOError, ConnectionError):
                    pass
        grown = context.broker.memory_kib() - before
        context.note(f"40 requests of 64 MiB: {grown} KiB")
        expect(grown < GROWTH_KIB_MAX, f"memory grew by {grown} KiB")
        expect_healthy(context, seconds_max=10)
    finally:
        for peer in peers:
            peer.close()
    expect_healthy(context)


def garbage(context):
    """Random bytes, then right headers with random bodies, for every API and version."""
    dice = random.Random(context.options.seed)
    with connect(context) as peer:
        ranges = peer.api_versions()
    for _ in range(100):
        with connect(context) as peer:
            peer.socket.sendall(dice.randbytes(dice.randrange(1, 3000)))
    for key, (low, high) in sorted(ranges.items()):
        for version in range(low, high + 1):
            for _ in range(6):
                send_garbage(context, dice, key, version)
    expect_healthy(context)


def send_garbage(context, dice, key, version):
    body = dice.choice([dice.randbytes(dice.randrange(200)), bytes(dice.randrange(200)),
                        b"\xff" * dice.randrange(200), b"\x7f" * dice.randrange(200)])
    with connect(context) as peer:
        try:
            peer.send(key, version, body, header_tags=b"\0")
            peer.socket.settimeout(0.02)
            peer.socket.recv(4096)
        except (socket.timeout, ConnectionError):
            pass


def abrupt_ends(context):
    """Connections reset in the middle of an answer and of a request."""
    with connect(context) as peer:
        fill(peer, "abrupt", 20, 100_000)
    for number in range(100):
        peer = connect(context)
        peer.send(FETCH, 4, peer.fetch_body("abrupt", 0, 0))
        if number % 2:
            peer.socket.sendall(peer.frame(PRODUCE, 7, bytes(5000))[:2500])
        linger = struct.pack("ii", 1, 0)  # close() sends RST
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.close()
    expect_healthy(context)


def memory_bound(context):
    """After all of the above the most that was ever resident is within the profile's sum."""
    peak = context.broker.memory_kib("VmHWM")
    context.note(f"peak resident {peak // 1024} MiB")
    # Of a core: 128 MiB requests, 32 MiB cache, 8 MiB reads, receive buffers, tables: below 400
    # MiB.
    most = 400 * 1024 * context.options.cores
    expect(peak < most, f"peak resident memory {peak} KiB")


CASES = [Case(run.__name__, run, seconds_max=180) for run in [
    wrong_lengths_close, half_frames, idle_connections, client_that_never_reads, largest_request,
    many_large_requests, garbage, abrupt_ends, memory_bound]]
